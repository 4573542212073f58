import { Picker } from "./detector.js";
import { clock, field, h, takesFiles } from "./dom.js";
import { openMicrophone } from "./microphone.js";

const root = document.getElementById("site");
const status = document.getElementById("status");
const worker = new Worker("worker.js");
const asked = new Map();
const MOST_EVENTS = 200;
let about;
let picker;
let mic = null;
let held = [];
let number = 0;

/** Samples in whole blocks to rows of scores, by the worker. */
function scoresOf(samples) {
  return new Promise((resolve) => {
    number += 1;
    asked.set(number, resolve);
    worker.postMessage({ type: "run", samples, id: number });
  });
}

const ready = new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => {
    if (data.type === "ready") resolve((about = data.about));
    else if (data.type === "scores") {
      asked.get(data.id)(data);
      asked.delete(data.id);
    } else {
      status.textContent = data.error;
      reject(new Error(data.error));
    }
  };
});
worker.postMessage({ type: "load" });

const start = h("button", { class: "button primary big", dataset: { test: "listen" }, disabled: true, onclick: toggle }, "loading");
const threshold = h("input", { type: "range", min: 0.3, max: 1, step: 0.01, value: 0.8, oninput: setThreshold });
const words = h("ul", { class: "words", "aria-label": "score of each word now" });
const list = h("ol", { class: "events", dataset: { test: "events" }, "aria-live": "polite", "aria-label": "detected words", tabIndex: 0 });
const input = h("input", { type: "file", accept: "audio/*", class: "sr-only", dataset: { test: "file" } });
root.append(
  h("div", { class: "panel row" }, start, field("threshold", threshold), h("p", { class: "muted" }, "Nothing leaves this page: the network runs in it.")),
  h(
    "div",
    { class: "columns" },
    h("div", { class: "panel stack" }, h("h2", null, "Words"), words),
    h("div", { class: "panel stack" }, h("h2", null, "Detected"), list, h("div", { class: "drop" }, h("label", { class: "button" }, "Choose a recording", input), h("span", { class: "muted" }, " or drop one here"))),
  ),
);
takesFiles(root, input, hearFile);

about = await ready;
begin();
words.append(...picker.words.map(({ name }) => h("li", { class: "word", dataset: { word: name } }, h("span", null, name), h("div", { class: "bar" }, h("i"), h("b")), h("span", { class: "number" }, "0.00"))));
setThreshold();
start.disabled = false;
start.textContent = "Listen";
status.textContent = "on this machine alone";
window.audioseqSite = { about, scoresOf, reset: () => worker.postMessage({ type: "reset" }) };

/** A stream from its first sample on. */
function begin() {
  worker.postMessage({ type: "reset" });
  picker = new Picker(about, levels());
  held = [];
  list.replaceChildren();
}

function levels() {
  return Object.fromEntries(about.class_names.map((name) => [name, Number(threshold.value)]));
}

function setThreshold() {
  picker.setThresholds(levels());
  for (const row of words.children) row.querySelector("b").style.left = `${100 * threshold.value}%`;
}

/** Samples of any number: whole blocks go to the network, the rest waits. */
async function push(samples) {
  held.push(...samples);
  const whole = held.length - (held.length % about.block);
  if (!whole) return;
  const { rows } = await scoresOf(Float32Array.from(held.splice(0, whole)));
  for (const row of rows) picker.push(row).forEach(show);
  picker.words.forEach(({ name }, i) => {
    const line = words.children[i];
    line.querySelector("i").style.transform = `scaleX(${picker.average[i]})`;
    line.querySelector(".number").textContent = picker.average[i].toFixed(2);
    line.classList.toggle("now", picker.average[i] >= Number(threshold.value) && name !== "");
  });
}

function show(event) {
  list.prepend(h("li", { dataset: { label: event.label } }, h("b", null, event.label), h("span", { class: "number muted small" }, `${clock(event.start)}  ${(100 * event.score).toFixed(0)} %`)));
  while (list.children.length > MOST_EVENTS) list.lastChild.remove();
}

async function toggle() {
  if (mic) {
    mic.close();
    mic = null;
    start.textContent = "Listen";
    start.className = "button primary big";
    return;
  }
  try {
    begin();
    mic = await openMicrophone(push, about.sr);
    start.textContent = "Stop";
    start.className = "button live big";
  } catch (error) {
    status.textContent = error.message;
  }
}

async function hearFile(file) {
  try {
    const context = new OfflineAudioContext(1, 1, about.sr);
    const sound = await context.decodeAudioData(await file.arrayBuffer());
    const mono = new Float32Array(sound.length);
    for (let channel = 0; channel < sound.numberOfChannels; channel++) {
      sound.getChannelData(channel).forEach((value, i) => (mono[i] += value / sound.numberOfChannels));
    }
    begin();
    for (let at = 0; at < mono.length; at += about.sr) await push(mono.subarray(at, at + about.sr));
    await push(new Float32Array(about.sr));
    status.textContent = `${file.name}: ${list.children.length} words in ${clock(sound.duration)}`;
  } catch (error) {
    status.textContent = `${file.name}: cannot be read as audio (${error.message})`;
  }
}
