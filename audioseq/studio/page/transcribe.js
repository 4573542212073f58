import { clock, colour, download, h, takesFiles } from "./dom.js";
import { bytesOf, fitted, imageOf } from "./draw.js";
import { openMicrophone, wavOf } from "./microphone.js";

const LOWEST = 21; // MIDI pitch of the lowest key
const MOST = 120; // seconds of a recording from the microphone

/** The view that writes down the notes of a recording. */
export function mount(root, { api, toast, onModels, show }) {
  let mic = null;
  let blocks = [];
  let answer = null;
  const record = h("button", { class: "button primary big", dataset: { test: "record" }, onclick: toggle }, "Record");
  const input = h("input", { type: "file", accept: "audio/*,.flac,.ogg,.wav,.mp3", class: "sr-only", dataset: { test: "file" } });
  const about = h("p", { class: "muted", role: "status", dataset: { test: "notes" } }, "Play the piano, or hum, and see the notes. Piano music is heard best; voices were not in its training.");
  const roll = h("canvas", { class: "strip", role: "img", "aria-label": "notes over the spectrogram" });
  const scroll = h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "notes over the spectrogram, to scroll", hidden: true }, roll);
  const compose = h("button", { class: "button primary", dataset: { test: "to-composer" }, disabled: true, onclick: goOn }, "Open in the composer");
  const midi = h("button", { class: "button", dataset: { test: "midi" }, disabled: true, onclick: save }, "Save .mid");
  root.append(
    h(
      "div",
      { class: "panel row" },
      record,
      h("div", { class: "drop" }, h("label", { class: "button" }, "Choose a recording", input), h("span", { class: "muted" }, " or drop one here")),
    ),
    h("div", { class: "panel stack" }, about, scroll, h("div", { class: "row" }, compose, midi)),
  );
  takesFiles(root, input, (file) => transcribe(file, file.name));
  onModels((models) => {
    const ready = models.some((one) => one.kind === "transcriber" && one.state === "ready");
    record.disabled = !ready && !mic;
    if (!mic) record.textContent = ready ? "Record" : "loading the model";
  });
  addEventListener("resize", draw);

  async function toggle() {
    if (mic) {
      const sr = mic.sr;
      mic.close();
      mic = null;
      record.textContent = "Record";
      record.className = "button primary big";
      await transcribe(wavOf(blocks, sr), "the recording");
      return;
    }
    blocks = [];
    try {
      mic = await openMicrophone((block) => {
        blocks.push(block);
        const seconds = (blocks.length * block.length) / mic.sr;
        about.textContent = `recording, ${clock(seconds)}`;
        if (seconds > MOST) toggle();
      });
      record.textContent = "Stop";
      record.className = "button live big";
    } catch (error) {
      toast(error.message, "error");
    }
  }

  async function transcribe(blob, name) {
    about.textContent = `listening to ${name}`;
    try {
      answer = await api.upload("/api/transcribe", blob);
    } catch (error) {
      about.textContent = `${name}: ${error.message}`;
      toast(error.message, "error");
      return;
    }
    const n = answer.notes.length;
    const tuned = answer.tuning === null ? "" : `, ${answer.tuning >= 0 ? "+" : "−"}${Math.abs(answer.tuning).toFixed(0)} cents from 440 Hz`;
    about.textContent = `${name}: ${n} note${n === 1 ? "" : "s"} in ${clock(answer.seconds)}${tuned}`;
    if (!n) about.textContent += ". No note was heard: is it quiet, or speech?";
    compose.disabled = midi.disabled = !answer.piece;
    scroll.hidden = false;
    draw();
  }

  /** The notes as boxes over the spectrogram, half a second of it for each 30 pixels or more. */
  function draw() {
    if (!answer || root.hidden) return;
    const keys = 88;
    roll.style.width = `${Math.max(scroll.clientWidth, Math.min(16_000, answer.seconds * 60))}px`;
    const { context, width, height } = fitted(roll, 360);
    const bytes = bytesOf(answer.frames);
    const bins = answer.bands / keys;
    const long = new Uint8Array((bytes.length / answer.bands) * keys * 3);
    // of the windows the longest, which parts the keys of the bass: the last 264 bands
    const bands = keys * 3;
    for (let t = 0; t < bytes.length / answer.bands; t++) {
      long.set(bytes.subarray((t + 1) * answer.bands - bands, (t + 1) * answer.bands), t * bands);
    }
    context.imageSmoothingEnabled = true;
    context.drawImage(imageOf(bins >= 3 ? long : bytes, bins >= 3 ? bands : answer.bands), 0, 0, width, height);
    context.strokeStyle = "#7fe7ff";
    context.fillStyle = "rgb(127 231 255 / 35%)";
    context.lineWidth = 1.5;
    for (const [pitch, , start, end] of answer.notes) {
      const x = (start / answer.seconds) * width;
      const w = Math.max(2, ((end - start) / answer.seconds) * width);
      const y = height - ((pitch - LOWEST + 1) / keys) * height;
      context.fillRect(x, y, w, height / keys);
      context.strokeRect(x, y, w, height / keys);
    }
    context.fillStyle = "#ffffff";
    context.font = "11px system-ui, sans-serif";
    for (let pitch = 24; pitch <= 108; pitch += 12) {
      context.fillText(`C${pitch / 12 - 1}`, 4, height - ((pitch - LOWEST) / keys) * height - 1);
    }
    scroll.style.borderColor = colour("--line");
  }

  async function goOn() {
    const composer = await show("compose", { focus: true });
    composer.open(answer.piece);
  }

  async function save() {
    try {
      download(await api.blob("/api/compose/midi", answer.piece), "transcription.mid");
    } catch (error) {
      toast(error.message, "error");
    }
  }

  return { shown: draw };
}
