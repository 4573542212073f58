const MOST_BARS = 5000;
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const LENGTHS = {
  whole: 4, "dotted half": 3, half: 2, "dotted quarter": 1.5, quarter: 1, "dotted eighth": 0.75, "quarter triplet": 2 / 3,
  eighth: 0.5, "eighth triplet": 1 / 3, sixteenth: 0.25, "thirty-second": 0.125,
}; // prettier-ignore

/** Programs of General MIDI by the names that the server knows. */
export const PROGRAMS = {
  piano: 0, harpsichord: 6, vibraphone: 11, organ: 19, accordion: 21, guitar: 24, bass: 32, violin: 40, viola: 41,
  cello: 42, contrabass: 43, strings: 48, harp: 46, choir: 52, trumpet: 56, trombone: 57, horn: 60, brass: 61,
  saxophone: 65, oboe: 68, bassoon: 70, clarinet: 71, flute: 73, recorder: 74,
}; // prettier-ignore

/** The names of the drums that are used most. */
export const DRUMS = {
  36: "Kick", 37: "Rim", 38: "Snare", 39: "Clap", 40: "Snare 2", 41: "Low tom", 42: "Hat", 43: "Tom", 44: "Hat ped.",
  45: "Tom", 46: "Hat open", 47: "Mid tom", 48: "Hi tom", 49: "Crash", 50: "Hi tom", 51: "Ride", 53: "Bell", 55: "Splash",
}; // prettier-ignore

/** A piece of one track and no notes. */
export function emptyPiece() {
  return {
    resolution: 480,
    tempos: [[0, 600_000]],
    meters: [[0, 4, 4]],
    keys: [],
    tracks: [{ program: 0, drum: false, name: "Piano" }],
    notes: [],
  };
}

/** A tune of four bars, to begin with. */
export function smallTune() {
  const q = 480;
  const notes = [48, 55, 45, 43].map((pitch, bar) => [pitch, 74, 1, bar * 4 * q, (bar * 4 + 4) * q]);
  [64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64, 64, 62].forEach((pitch, at) => notes.push([pitch, 92, 0, at * q, (at + 1) * q]));
  notes.at(-1)[4] = 16 * q;
  const tracks = [
    { program: 73, drum: false, name: "Tune" },
    { program: 42, drum: false, name: "Bass" },
  ];
  return { ...emptyPiece(), tracks, notes, keys: [[0, 0]] };
}

/** The tick at which the last note ends. */
export function endOf(piece) {
  return piece.notes.reduce((most, note) => Math.max(most, note[4]), 0);
}

/** The bars, at least up to a tick: where each begins and ends, its beat, and its number of beats. */
export function barsOf(piece, until = endOf(piece)) {
  const meters = piece.meters?.length && piece.meters[0][0] === 0 ? piece.meters : [[0, 4, 4], ...(piece.meters ?? [])];
  const bars = [];
  for (const [at, [begin, numerator, denominator]] of meters.entries()) {
    const stop = meters[at + 1]?.[0] ?? Math.max(until, begin + 1);
    const beat = (4 * piece.resolution) / denominator;
    for (let tick = begin; tick < stop && bars.length < MOST_BARS; tick += beat * numerator) {
      const end = at + 1 < meters.length ? Math.min(stop, tick + beat * numerator) : tick + beat * numerator;
      bars.push({ tick, end, beat, numerator });
    }
  }
  return bars;
}

/** The number of the bar of a tick among bars, from 0. */
export function barAt(bars, tick) {
  let low = 0;
  let high = bars.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (bars[middle].tick <= tick) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Bar and beat of a tick, from 1. */
export function placeOf(piece, tick) {
  const bars = barsOf(piece, Math.max(tick + 1, endOf(piece)));
  const bar = barAt(bars, tick);
  return { bar: bar + 1, beat: Math.round(100 * (1 + (tick - bars[bar].tick) / bars[bar].beat)) / 100 };
}

/** The tempos, the first at tick 0. */
function temposOf(piece) {
  return piece.tempos?.length ? piece.tempos : [[0, 500_000]];
}

/** When a tick is, in seconds. */
export function secondsAt(piece, tick) {
  const tempos = temposOf(piece);
  let seconds = 0;
  for (const [at, [begin, tempo]] of tempos.entries()) {
    const stop = Math.min(tick, tempos[at + 1]?.[0] ?? Infinity);
    if (stop <= begin) break;
    seconds += ((stop - begin) * tempo) / (1e6 * piece.resolution);
  }
  return seconds;
}

/** The tick at a time in seconds. */
export function tickAt(piece, seconds) {
  const tempos = temposOf(piece);
  let left = seconds;
  for (const [at, [begin, tempo]] of tempos.entries()) {
    const second = tempo / (1e6 * piece.resolution);
    const length = ((tempos[at + 1]?.[0] ?? Infinity) - begin) * second;
    if (left < length) return begin + left / second;
    left -= length;
  }
  return 0;
}

/** A pitch such as C4, or a drum. */
export function pitchName(pitch, drum = false) {
  return (drum && DRUMS[pitch]) || `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
}

/** A length in words. */
export function lengthName(ticks, resolution) {
  const beats = ticks / resolution;
  return Object.keys(LENGTHS).find((name) => Math.abs(LENGTHS[name] - beats) < 0.02) ?? `${Math.round(100 * beats) / 100} quarters`;
}

/** Quarter notes a minute at the beginning. */
export function tempoOf(piece) {
  return Math.round(60e6 / temposOf(piece)[0][1]);
}

/** The piece with another tempo at the beginning, and those that follow in proportion. */
export function withTempo(piece, tempo) {
  const factor = 60e6 / tempo / temposOf(piece)[0][1];
  const bounded = (value) => Math.min(16_777_215, Math.max(1, value * factor));
  return { ...piece, tempos: temposOf(piece).map(([tick, value]) => [tick, bounded(value)]) };
}

/** The key at the beginning in words, or nothing. */
export function keyName(piece, keys) {
  return piece.keys?.length && keys[piece.keys[0][1]] ? keys[piece.keys[0][1]] : "";
}

/** The piece at another resolution. */
export function rescaled(piece, resolution) {
  if (piece.resolution === resolution) return piece;
  const of = (tick) => Math.round((tick * resolution) / piece.resolution);
  const rows = (name) => (piece[name] ?? []).map(([tick, ...rest]) => [of(tick), ...rest]);
  return {
    ...piece,
    resolution,
    ...Object.fromEntries(["tempos", "meters", "keys", "lyrics", "texts"].map((name) => [name, rows(name)])),
    notes: piece.notes.map(([pitch, velocity, track, start, end]) => [pitch, velocity, track, of(start), Math.max(of(start) + 1, of(end))]),
    controls: (piece.controls ?? []).map(([track, tick, ...rest]) => [track, of(tick), ...rest]),
  };
}

/** A piece with the tracks of another after its own. */
export function merged(piece, other) {
  const added = rescaled(other, piece.resolution);
  const shift = piece.tracks.length;
  return {
    ...piece,
    tracks: [...piece.tracks, ...added.tracks],
    notes: [...piece.notes, ...added.notes.map(([pitch, velocity, track, ...rest]) => [pitch, velocity, track + shift, ...rest])],
    controls: [...(piece.controls ?? []), ...(added.controls ?? []).map(([track, ...rest]) => [track + shift, ...rest])],
  };
}

/** The tracks of a piece that are wanted, and what is on them. */
export function only(piece, wanted) {
  const places = piece.tracks.map((_, at) => at).filter((at) => wanted(piece.tracks[at], at));
  const renumbered = new Map(places.map((old, now) => [old, now]));
  return {
    ...piece,
    tracks: places.map((at) => piece.tracks[at]),
    notes: piece.notes.filter((note) => renumbered.has(note[2])).map(([pitch, velocity, track, ...rest]) => [pitch, velocity, renumbered.get(track), ...rest]),
    controls: (piece.controls ?? []).filter(([track]) => renumbered.has(track)).map(([track, ...rest]) => [renumbered.get(track), ...rest]),
  };
}

/** Whether a value from a store looks like a piece. */
export function isPiece(value) {
  return (
    Number.isInteger(value?.resolution) &&
    Array.isArray(value.tracks) &&
    Array.isArray(value.notes) &&
    value.notes.every((note) => Array.isArray(note) && note.length === 5 && note.every(Number.isInteger) && note[2] < value.tracks.length)
  );
}
