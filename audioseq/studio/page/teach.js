import { colour, download, field, h } from "./dom.js";
import { fitted } from "./draw.js";
import { openMicrophone, wavOf } from "./microphone.js";

const SECONDS = 1.6; // of a recording of a word
const POLL = 1500; // ms

/** The view that records words, and makes recognisers of them. */
export function mount(root, { api, toast, onModels, refresh, show }) {
  let recorded = [];
  let busy = false;
  const word = h("input", { type: "text", maxLength: 48, placeholder: "lumos", dataset: { test: "word" }, autocomplete: "off" });
  const speaker = h("input", { type: "text", maxLength: 24, value: "me", size: 8, autocomplete: "off" });
  const record = h("button", { class: "button primary big", dataset: { test: "record" }, onclick: recordOne }, "Record");
  const five = h("button", { class: "button", dataset: { test: "record-five" }, onclick: recordFive }, "Record five");
  const level = h("i");
  const meter = h("div", { class: "meter", role: "img", "aria-label": "level of the microphone" }, level);
  const said = h("p", { class: "small muted", role: "status", dataset: { test: "judged" } }, "Type a word, press Record, and say it once. Five recordings are enough to enroll it.");
  const wave = h("canvas", { class: "strip", role: "img", "aria-label": "the last recording" });
  const list = h("div", { class: "stack", dataset: { test: "words" } });
  const base = h("select");
  const name = h("input", { type: "text", maxLength: 48, value: "my words", dataset: { test: "name" } });
  const enroll = h("button", { class: "button primary", dataset: { test: "enroll" }, onclick: enrollWords }, "Enroll");
  const enrolled = h("div", { class: "stack", dataset: { test: "enrolled" }, role: "status" });
  const epochs = h("input", { type: "number", min: 1, max: 500, value: 80 });
  const train = h("button", { class: "button primary", dataset: { test: "train" }, onclick: () => begin(false) }, "Train");
  const resume = h("button", { class: "button", dataset: { test: "resume" }, hidden: true, onclick: () => begin(true) }, "Go on");
  const stop = h("button", { class: "button", dataset: { test: "stop" }, hidden: true, onclick: end }, "Stop");
  const state = h("p", { role: "status", dataset: { test: "training" } }, "");
  const curve = h("canvas", { role: "img", "aria-label": "loss and accuracy by epoch", hidden: true });
  const log = h("pre", { class: "log", tabIndex: 0, role: "region", "aria-label": "what the training printed last", hidden: true });
  const pictures = h("div", { class: "row" });
  const kept = h("div");
  const keep = h("button", { class: "button primary", dataset: { test: "keep" }, hidden: true, onclick: keepModel }, "Use this model");

  root.append(
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        { class: "stack" },
        h(
          "form",
          { class: "panel stack", onsubmit: (event) => (event.preventDefault(), recordOne()) },
          h("h2", null, "Record a word"),
          h("div", { class: "row" }, field("word", word), field("who speaks", speaker), meter),
          h("div", { class: "row" }, record, five),
          wave,
          said,
        ),
        h("div", { class: "panel stack" }, h("h2", null, "Your recordings"), list),
      ),
      h(
        "div",
        { class: "stack" },
        h(
          "div",
          { class: "panel stack" },
          h("h2", null, "Enroll: from five recordings, at once"),
          h("p", { class: "small muted" }, "The chosen words are added to a recogniser that knows others already."),
          field("recogniser", base),
          field("name of the new one", name),
          h("div", { class: "row" }, enroll),
          enrolled,
        ),
        h(
          "div",
          { class: "panel stack" },
          h("h2", null, "Train: from twenty or more of each word"),
          h("p", { class: "small muted" }, "A network of its own, of the chosen words. Its figures are of the same voices on another occasion."),
          h("div", { class: "row" }, field("epochs", epochs), train, resume, stop),
          state,
          curve,
          pictures,
          keep,
          kept,
          log,
        ),
      ),
    ),
  );

  record.type = five.type = "button";
  onModels((models) => {
    const able = models.filter((one) => one.kind === "recogniser" && one.state === "ready");
    const chosen = base.value;
    base.replaceChildren(...able.map((one) => h("option", { value: one.id }, one.id)));
    if (able.some((one) => one.id === chosen)) base.value = chosen;
    enroll.disabled = !able.length;
  });

  /** One recording of the word: the microphone for a second and a half. */
  async function take() {
    const text = word.value.trim();
    if (!text) {
      word.focus();
      throw new Error("Type the word first.");
    }
    const blocks = [];
    let mic;
    let done;
    const full = new Promise((resolve) => (done = resolve));
    let held = 0;
    mic = await openMicrophone((block) => {
      blocks.push(block);
      held += block.length;
      const peak = block.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
      level.style.transform = `scaleX(${Math.max(0, 1 + Math.log10(peak) / 3)})`;
      meter.classList.toggle("clipped", peak > 0.99);
      if (mic && held >= SECONDS * mic.sr) done();
    });
    said.textContent = `say “${text}” now`;
    await full;
    mic.close();
    level.style.transform = "scaleX(0)";
    drawWave(wave, blocks);
    const answer = await api.upload(`/api/words/${encodeURIComponent(text)}?speaker=${encodeURIComponent(speaker.value.trim())}`, wavOf(blocks, mic.sr));
    const heard = `recording ${answer.take} of “${text}”, peak ${answer.peak_db} dB`;
    said.textContent = answer.warnings.length ? `${heard}: ${answer.warnings.join("; ")}. Remove it and take it again?` : `${heard}: good`;
    said.className = answer.warnings.length ? "small warn" : "small good";
    await reload();
  }

  /** With the buttons off meanwhile. */
  async function working(work) {
    if (busy) return;
    busy = true;
    record.disabled = five.disabled = true;
    record.className = "button live big";
    try {
      await work();
    } catch (error) {
      said.textContent = error.message;
      said.className = "small bad";
      toast(error.message, "error");
    } finally {
      busy = false;
      record.disabled = five.disabled = false;
      record.className = "button primary big";
    }
  }

  function recordOne() {
    return working(take);
  }

  function recordFive() {
    return working(async () => {
      for (let i = 0; i < 5; i++) {
        await take();
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    });
  }

  /** The recordings that there are. */
  async function reload() {
    showTakes((await api.get("/api/words")).words);
  }

  function showTakes(words) {
    const before = new Map(recorded.map((one) => [one.word, one.chosen.checked]));
    recorded = words.map((one) => ({
      ...one,
      chosen: h("input", { type: "checkbox", checked: before.get(one.word) ?? true, "aria-label": `use ${one.word}` }),
    }));
    list.replaceChildren(...(recorded.length ? recorded.map(wordRow) : [h("p", { class: "muted" }, "none yet")]));
  }

  function wordRow({ word: text, takes, chosen }) {
    return h(
      "div",
      { class: "stack", dataset: { word: text, takes: takes.length } },
      h(
        "div",
        { class: "row" },
        h("label", { class: "row" }, chosen, h("b", null, text)),
        h("span", { class: "muted small" }, `${takes.length} recording${takes.length === 1 ? "" : "s"}`),
        h("button", { class: "button quiet small", onclick: () => remove(text) }, `remove all of ${text}`),
      ),
      h(
        "ul",
        { class: "takes" },
        takes.map((number) =>
          h(
            "li",
            { class: "take" },
            h("button", { onclick: () => play(text, number), "aria-label": `play recording ${number} of ${text}` }, `▶ ${number}`),
            h("button", { onclick: () => remove(text, number), "aria-label": `remove recording ${number} of ${text}` }, "×"),
          ),
        ),
      ),
    );
  }

  async function play(text, number) {
    const url = URL.createObjectURL(await api.blob(`/api/words/${encodeURIComponent(text)}/${number}`));
    const audio = new Audio(url);
    audio.onended = () => URL.revokeObjectURL(url);
    await audio.play();
  }

  async function remove(text, number) {
    const path = `/api/words/${encodeURIComponent(text)}`;
    try {
      showTakes((await api.remove(number === undefined ? path : `${path}/${number}`)).words);
    } catch (error) {
      toast(error.message, "error");
    }
  }

  const chosenWords = () => recorded.filter((one) => one.chosen.checked).map((one) => one.word);

  async function enrollWords() {
    enroll.disabled = true;
    enrolled.replaceChildren(h("p", { class: "muted" }, "enrolling"));
    try {
      const { model, warnings } = await api.post("/api/enroll", { words: chosenWords(), name: name.value, model: base.value });
      await refresh();
      enrolled.replaceChildren(
        h("p", { class: "good" }, `${model.id} knows ${model.enrolled.join(", ")}, and what it knew.`),
        ...warnings.map((text) => h("p", { class: "small warn" }, text)),
        h(
          "div",
          { class: "row" },
          h("button", { class: "button", onclick: () => show("listen", { focus: true }) }, "Listen with it"),
        ),
        takeAway(model.id),
      );
    } catch (error) {
      enrolled.replaceChildren(h("p", { class: "bad" }, error.message));
    } finally {
      enroll.disabled = false;
    }
  }

  /** What a model can be taken away as. */
  function takeAway(id) {
    const told = h("p", { class: "small muted", role: "status", dataset: { test: "taken" } });
    const path = `/api/models/${encodeURIComponent(id)}`;
    const unchecked = h("button", { class: "button", hidden: true, onclick: () => take(`${path}/web?unchecked=yes`, `${id}-web.zip`) }, "Download the web page, not compared");
    const buttons = [
      ["keras", "Download .keras", path, `${id}.keras`],
      ["litert", "for LiteRT", `${path}/litert`, `${id}.tflite`],
      ["web", "as a web page", `${path}/web`, `${id}-web.zip`],
    ].map(([kind, text, from, file]) =>
      h("button", { class: "button", dataset: { test: `download-${kind}` }, onclick: () => take(from, file) }, text),
    );
    const all = [...buttons, unchecked];

    async function take(from, file) {
      for (const one of all) one.disabled = true;
      told.textContent = from === path ? "" : "converting it, and comparing its scores with the model's";
      try {
        download(await api.blob(from), file);
        told.textContent = from === path ? "" : `${file} gives the model's scores`;
        if (from.endsWith("unchecked=yes")) told.textContent = `${file} was compared in LiteRT, not in a browser`;
      } catch (error) {
        told.textContent = error.message;
        unchecked.hidden = !from.endsWith("/web");
      } finally {
        for (const one of all) one.disabled = false;
      }
    }
    return h("div", { class: "stack" }, h("div", { class: "row" }, ...all), told);
  }

  async function begin(again) {
    try {
      showTraining(await api.post("/api/training", again ? { resume: true } : { words: chosenWords(), epochs: Number(epochs.value) }));
      follow();
    } catch (error) {
      toast(error.message, "error");
      state.textContent = error.message;
    }
  }

  async function end() {
    showTraining(await api.remove("/api/training"));
  }

  async function keepModel() {
    try {
      const { model } = await api.post("/api/training/model", { name: name.value });
      await refresh();
      toast(`${model.id} is among the recognisers now`);
      kept.replaceChildren(takeAway(model.id));
    } catch (error) {
      toast(error.message, "error");
    }
  }

  /** Look how far it is, until it has ended. */
  async function follow() {
    try {
      const now = await api.get("/api/training");
      await showTraining(now);
      if (now.state === "running") setTimeout(follow, POLL);
    } catch (error) {
      state.textContent = error.message;
      setTimeout(follow, 2 * POLL);
    }
  }

  async function showTraining(now) {
    const running = now.state === "running";
    const epoch = now.history.length;
    const last = now.history.at(-1);
    const figures = last ? `, ${(100 * (last.val_accuracy ?? 0)).toFixed(1)} % of validation` : "";
    state.textContent = now.state === "none" ? "" : `${now.state}: epoch ${epoch} of ${now.epochs}${figures}`;
    train.disabled = running;
    stop.hidden = !running;
    resume.hidden = now.state !== "interrupted";
    keep.hidden = now.state !== "complete";
    log.hidden = now.state === "none";
    log.textContent = now.log;
    log.scrollTop = log.scrollHeight;
    curve.hidden = epoch < 1;
    if (epoch) drawCurve(curve, now.history, now.epochs);
    if (String(now.pictures) !== pictures.dataset.names) {
      pictures.dataset.names = String(now.pictures);
      const made = await Promise.all(
        now.pictures.map(async (one) =>
          h("figure", null, h("img", { src: URL.createObjectURL(await api.blob(`/api/training/${one}`)), alt: one.replace(/_|\.png/g, " ") })),
        ),
      );
      pictures.replaceChildren(...made);
    }
  }

  drawWave(wave, []);
  reload().catch((error) => toast(error.message, "error"));
  follow();
  return {};
}

/** The samples of a recording. */
function drawWave(canvas, blocks) {
  const { context, width, height } = fitted(canvas, 70);
  context.fillStyle = "#10161a";
  context.fillRect(0, 0, width, height);
  const n = blocks.reduce((sum, block) => sum + block.length, 0);
  const all = new Float32Array(n);
  let at = 0;
  for (const block of blocks) {
    all.set(block, at);
    at += block.length;
  }
  context.fillStyle = "#7fe7ff";
  for (let x = 0; x < width; x++) {
    const part = all.subarray(Math.floor((x / width) * n), Math.floor(((x + 1) / width) * n) + 1);
    const peak = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    context.fillRect(x, (height / 2) * (1 - peak), 1, Math.max(1, height * peak));
  }
}

/** Loss and accuracy of validation by epoch. */
function drawCurve(canvas, history, epochs) {
  const { context, width, height } = fitted(canvas, 130);
  context.clearRect(0, 0, width, height);
  const x = (i) => 8 + (i / Math.max(1, epochs - 1)) * (width - 16);
  const line = (name, most, hue, label, place) => {
    context.strokeStyle = context.fillStyle = colour(hue);
    context.lineWidth = 2;
    context.beginPath();
    history.forEach((row, i) => context[i ? "lineTo" : "moveTo"](x(i), height - 8 - (Math.min(row[name] ?? 0, most) / most) * (height - 34)));
    context.stroke();
    context.font = "12px system-ui, sans-serif";
    context.fillText(label, place, 14);
  };
  const worst = Math.max(...history.map((row) => row.val_loss ?? 0), 1e-6);
  line("val_accuracy", 1, "--hue-3", "accuracy of validation", 8);
  line("val_loss", worst, "--hue-1", "loss of validation", width / 2);
}
