import { barsOf, endOf, secondsAt } from "./compose-piece.js";

const AHEAD = 0.2; // seconds that are scheduled before they sound
const EVERY = 25; // milliseconds
const LEAD = 0.06; // from the press of the button to the first note
const DRUMS = 128;

/** Plays pieces with the sampled instruments of the server, in time with the clock of Web Audio. */
export class Player extends EventTarget {
  source = null;
  playing = false;
  volume = 0.8;
  metronome = false;
  loop = null; // seconds, [begin, end]
  scheduled = []; // the last notes: when on the clock of the context, and their second in the piece
  #api;
  #buffers = new Map();
  #instruments = new Map();
  #voices = new Set();
  #resting = 0;
  #anchor = 0;
  #until = 0;
  #round = 0;
  #timer = 0;
  #plan = { piece: null, notes: [], beats: [], end: 0 };

  constructor(api) {
    super();
    this.#api = api;
  }

  /** The context and what the sound goes through, made at the first sound, which browsers want. */
  #start() {
    if (!this.context) {
      const context = new AudioContext({ latencyHint: "interactive" });
      const limiter = new DynamicsCompressorNode(context, { threshold: -8, knee: 6, ratio: 16, attack: 0.003, release: 0.15 });
      this.context = context;
      this.analyser = new AnalyserNode(context, { fftSize: 2048 });
      this.master = new GainNode(context, { gain: this.volume });
      this.master.connect(limiter).connect(this.analyser).connect(context.destination);
      window.audioseqPlayer = this;
    }
    return this.context.resume();
  }

  /** Where it is, in seconds of the piece. */
  get position() {
    const now = this.playing ? this.context.currentTime - this.#anchor : -Infinity;
    if (!Number.isFinite(now)) return this.#resting;
    if (now >= this.#resting) return now;
    // before the first note sounds, or the clock was wound back for a round that has not begun
    return this.#round ? now + this.#round : this.#resting;
  }

  /** How loud it is now, from 0 to 1. */
  get level() {
    if (!this.analyser) return 0;
    const wave = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(wave);
    return Math.min(1, wave.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  }

  /** Set how loud all is. */
  setVolume(volume) {
    this.volume = volume;
    this.master?.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
  }

  /** Play a source, `{piece, audible(track)}`, from a second. */
  async play(source, from = 0) {
    this.#halt();
    this.source = source;
    this.playing = true;
    this.#anchor = Infinity;
    this.#until = this.#resting = from;
    this.#round = 0;
    this.dispatchEvent(new Event("change"));
    try {
      await this.#start();
      await this.#load(source);
    } catch (error) {
      if (this.source === source) this.stop();
      throw error;
    }
    if (this.source !== source || !this.playing || this.#timer) return;
    this.#anchor = this.context.currentTime + LEAD - from;
    this.#timer = setInterval(() => this.#schedule(), EVERY);
    this.#schedule();
  }

  /** Stop, and stay where it is. */
  pause() {
    const position = this.position;
    this.#halt();
    this.#resting = position;
    this.dispatchEvent(new Event("change"));
  }

  /** Stop, and go to the beginning. */
  stop() {
    this.#halt();
    this.#resting = 0;
    this.dispatchEvent(new Event("change"));
  }

  /** Go to a second. */
  seek(seconds) {
    if (this.playing) this.play(this.source, seconds).catch(() => {});
    else {
      this.#resting = seconds;
      this.dispatchEvent(new Event("change"));
    }
  }

  /** Sound a note for a moment. */
  async audition(pitch, velocity, track) {
    await this.#start();
    const sound = await this.#sound(track, pitch);
    if (sound) this.#voice(sound, velocity, this.context.currentTime, 0.35);
  }

  #halt() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.playing = false;
    for (const { gain, node } of this.#voices) {
      gain.gain.cancelScheduledValues(0);
      gain.gain.setTargetAtTime(0, this.context.currentTime, 0.015);
      node.stop(this.context.currentTime + 0.1);
    }
    this.#voices.clear();
  }

  /** The pitches of which an instrument has samples. */
  #instrument(program) {
    if (!this.#instruments.has(program)) {
      const asked = this.#api.get(`/api/sounds/${program}`);
      asked.catch(() => this.#instruments.delete(program));
      this.#instruments.set(program, asked);
    }
    return this.#instruments.get(program);
  }

  /** A sample, decoded once. */
  #sample(program, pitch) {
    const name = `${program}/${pitch}`;
    if (!this.#buffers.has(name)) {
      const asked = this.#api
        .blob(`/api/sounds/${name}`)
        .then((blob) => blob.arrayBuffer())
        .then((bytes) => this.context.decodeAudioData(bytes));
      asked.catch(() => this.#buffers.delete(name));
      this.#buffers.set(name, asked);
    }
    return this.#buffers.get(name);
  }

  /** What a note sounds with: the nearest sample and by how much faster it is played. */
  async #sound(track, pitch) {
    if (track.drum) return { buffer: await this.#sample(DRUMS, pitch), rate: 1, drum: true };
    const instrument = await this.#instrument(track.program);
    const nearest = instrument.pitches.reduce((best, one) => (Math.abs(one - pitch) < Math.abs(best - pitch) ? one : best));
    const buffer = await this.#sample(track.program, nearest);
    return { buffer, rate: 2 ** ((pitch - nearest) / 12), release: instrument.release, sustained: instrument.sustained };
  }

  /** Fetch all that a piece needs; a plan of it with sounds, in order. */
  async #load(source) {
    const { piece } = source;
    const sounds = new Map();
    for (const [pitch, , track] of piece.notes) sounds.set(`${track}/${pitch}`, null);
    await Promise.all(
      [...sounds.keys()].map(async (name) => {
        const [track, pitch] = name.split("/").map(Number);
        sounds.set(name, await this.#sound(piece.tracks[track], pitch));
      }),
    );
    if (source.piece !== piece) {
      await this.#load(source);
      return;
    }
    const notes = piece.notes.map(([pitch, velocity, track, start, end]) => {
      const begin = secondsAt(piece, start);
      return { pitch, velocity, track, begin, length: secondsAt(piece, end) - begin, sound: sounds.get(`${track}/${pitch}`) };
    });
    notes.sort((one, other) => one.begin - other.begin);
    const beats = barsOf(piece).flatMap(({ tick, beat, numerator }) =>
      Array.from({ length: numerator }, (_, at) => ({ begin: secondsAt(piece, tick + at * beat), first: at === 0 })),
    );
    this.#plan = { piece, notes, beats, end: secondsAt(piece, endOf(piece)) };
  }

  /** Schedule what sounds within the next moment. */
  #schedule() {
    const { source } = this;
    if (this.#plan.piece !== source.piece && !this.#plan.renewing) {
      this.#plan.renewing = true;
      this.#load(source).catch(() => this.pause());
    }
    let target = this.context.currentTime - this.#anchor + AHEAD;
    while (this.loop && this.#until < this.loop[1] && target >= this.loop[1] && this.loop[1] - this.loop[0] > 0.05) {
      this.#between(this.#until, this.loop[1]);
      this.#round = this.loop[1] - this.loop[0];
      this.#anchor += this.#round;
      this.#until = this.loop[0];
      this.#resting = this.loop[0];
      target = this.context.currentTime - this.#anchor + AHEAD;
    }
    if (target > this.#until) {
      this.#between(this.#until, target);
      this.#until = target;
    }
    if (target - AHEAD > Math.max(this.#plan.end, this.loop?.[1] ?? 0) + 0.3) this.stop();
  }

  /** Schedule the notes and clicks that begin in a stretch of the piece. */
  #between(begin, end) {
    const { notes, beats } = this.#plan;
    for (let at = firstFrom(notes, begin); at < notes.length && notes[at].begin < end; at++) {
      const note = notes[at];
      if (!this.source.audible(note.track)) continue;
      const when = this.#anchor + note.begin;
      this.#voice(note.sound, note.velocity, when, note.length);
      this.scheduled.push({ when, begin: note.begin, pitch: note.pitch, track: note.track });
    }
    if (this.scheduled.length > 1000) this.scheduled.splice(0, 500);
    if (!this.metronome) return;
    for (let at = firstFrom(beats, begin); at < beats.length && beats[at].begin < end; at++) this.#click(beats[at].first, this.#anchor + beats[at].begin);
  }

  /** Sound a sample from a time of the clock for a length. */
  #voice({ buffer, rate, release = 0.2, sustained, drum }, velocity, when, length) {
    const node = new AudioBufferSourceNode(this.context, { buffer, playbackRate: rate });
    const gain = new GainNode(this.context, { gain: 0.5 * (velocity / 127) ** 2 });
    node.connect(gain).connect(this.master);
    const time = Math.max(when, this.context.currentTime);
    if (sustained && length * rate > buffer.duration - 0.1) {
      Object.assign(node, { loop: true, loopStart: buffer.duration * 0.5, loopEnd: buffer.duration * 0.95 });
    }
    node.start(time);
    if (!drum) {
      const constant = Math.min(0.25, Math.max(0.03, release / 6));
      gain.gain.setTargetAtTime(0, time + length, constant);
      node.stop(time + length + 6 * constant);
    }
    const voice = { node, gain };
    this.#voices.add(voice);
    node.onended = () => this.#voices.delete(voice);
  }

  /** A click of the metronome. */
  #click(first, when) {
    const node = new OscillatorNode(this.context, { frequency: first ? 1760 : 1175 });
    const gain = new GainNode(this.context, { gain: 0 });
    node.connect(gain).connect(this.master);
    gain.gain.setValueAtTime(0.25, when);
    gain.gain.setTargetAtTime(0, when + 0.005, 0.012);
    node.start(when);
    node.stop(when + 0.08);
    const voice = { node, gain };
    this.#voices.add(voice);
    node.onended = () => this.#voices.delete(voice);
  }
}

/** The place of the first that begins at a time or later. */
function firstFrom(rows, begin) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].begin < begin) low = middle + 1;
    else high = middle;
  }
  return low;
}
