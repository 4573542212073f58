import { listenAddress } from "./api.js";
import { clock, colour, field, h, takesFiles } from "./dom.js";
import { bytesOf, drawMatrix, fitted, imageOf } from "./draw.js";
import { openMicrophone } from "./microphone.js";

const SHOWN = 8; // seconds of the strip
const HOP = 0.02; // seconds a column
const BANDS = 40;
const MOST_EVENTS = 200;
const WAITING = 600; // blocks that are kept while the connection is lost, about 25 s
const MAP_EVERY = 2500; // ms

/** The view that listens to a microphone or a file. */
export function mount(root, { api, toast, onModels }) {
  const state = {
    mic: null,
    opening: false,
    socket: null,
    waiting: [],
    columns: [], // of the spectrogram, a Uint8Array each
    history: [], // {seconds, scores}
    events: [],
    seconds: 0,
    words: [],
    own: {}, // thresholds of single words
    mapTimer: 0,
    retry: 500,
  };

  const model = h("select", { dataset: { test: "model" }, onchange: restart });
  const start = h("button", { class: "button primary big", dataset: { test: "listen" }, onclick: toggle }, "Listen");
  const level = h("i");
  const meter = h("div", { class: "meter", role: "img", "aria-label": "level of the microphone" }, level);
  const time = h("span", { class: "number muted", dataset: { test: "seconds" } }, "0:00.0");
  const threshold = h("input", { type: "range", min: 0.3, max: 1, step: 0.01, value: 0.8, oninput: thresholds });
  const shownThreshold = h("span", { class: "number" }, "0.80");
  const each = h("div", { class: "stack" });
  const strip = h("canvas", { class: "strip", role: "img", "aria-label": "log-mel spectrogram of the last seconds" });
  const lines = h("canvas", { role: "img", "aria-label": "averaged score of each word over the last seconds" });
  const words = h("ul", { class: "words", "aria-label": "score of each word now" });
  const list = h("ol", { class: "events", dataset: { test: "events" }, "aria-live": "polite", "aria-relevant": "additions", "aria-label": "detected words", tabIndex: 0 });
  const hint = h("p", { class: "small muted" }, "Press Listen and say one of the words.");
  const missed = h("select", { "aria-label": "the word that was missed" });
  const miss = h("button", { class: "button", dataset: { test: "miss" }, disabled: true, onclick: () => mark("miss") }, "I said it, it was missed");
  const showMap = h("input", { type: "checkbox", onchange: mapping, dataset: { test: "map" } });
  const map = h("canvas", { class: "strip", role: "img", "aria-label": "which frames of the last second the state is owed to" });
  const mapText = h("p", { class: "small muted", dataset: { test: "map-text" } }, "Right: the frame that was read. Down: the moment. Bright: what the state then is owed to.");
  const mapPanel = h("div", { class: "stack", hidden: true }, map, mapText);
  const fileInput = h("input", { type: "file", accept: "audio/*,.flac,.ogg,.wav,.mp3", class: "sr-only", dataset: { test: "file" } });
  const drop = h(
    "div",
    { class: "drop" },
    h("label", { class: "button" }, "Choose a recording", fileInput),
    h("span", { class: "muted" }, " or drop one here: all its words with their times"),
  );
  const found = h("div", { class: "stack", hidden: true });

  root.append(
    h(
      "div",
      { class: "panel row" },
      start,
      h("div", { class: "stack" }, meter, time),
      field("model", model),
      field("threshold of all words", h("span", { class: "row" }, threshold, shownThreshold)),
      h("details", null, h("summary", null, "of each word"), each),
    ),
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        { class: "panel stack" },
        strip,
        lines,
        h("label", { class: "row small" }, showMap, "what the network remembers of the last second"),
        mapPanel,
      ),
      h(
        "div",
        { class: "stack" },
        h("div", { class: "panel stack" }, h("h2", null, "Words"), words),
        h(
          "div",
          { class: "panel stack" },
          h("h2", null, "Detected"),
          list,
          hint,
          h("div", { class: "row" }, missed, miss),
        ),
      ),
    ),
    h("div", { class: "panel stack" }, h("h2", null, "A recording"), drop, found),
  );

  takesFiles(root, fileInput, detectFile);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", draw);

  onModels((models) => {
    const able = models.filter((one) => one.kind === "recogniser" && one.state === "ready");
    const chosen = model.value;
    model.replaceChildren(...able.map((one) => h("option", { value: one.id }, `${one.id}: ${one.about}`)));
    if (able.some((one) => one.id === chosen)) model.value = chosen;
    const current = able.find((one) => one.id === model.value);
    if (current && String(current.words) !== String(state.words)) showWords(current.words);
    start.disabled = !able.length;
    if (!able.length) start.textContent = "loading the model";
    else if (!state.mic) start.textContent = "Listen";
  });

  /** Rows and sliders for these words. */
  function showWords(names) {
    state.words = names;
    state.own = {};
    words.replaceChildren(
      ...names.map((word) =>
        h("li", { class: "word", dataset: { word } }, h("span", null, word), h("div", { class: "bar" }, h("i"), h("b")), h("span", { class: "number" }, "0.00")),
      ),
    );
    missed.replaceChildren(...names.map((word) => h("option", null, word)));
    each.replaceChildren(
      ...names.map((word) =>
        field(word, h("input", { type: "range", min: 0.3, max: 1, step: 0.01, value: threshold.value, dataset: { word }, oninput: (event) => {
          state.own[word] = Number(event.target.value);
          thresholds();
        } })),
      ),
    );
    thresholds();
  }

  /** The threshold of each word. */
  function levels() {
    return Object.fromEntries(state.words.map((word) => [word, state.own[word] ?? Number(threshold.value)]));
  }

  /** Show the thresholds, and tell the server. */
  function thresholds() {
    shownThreshold.textContent = Number(threshold.value).toFixed(2);
    const now = levels();
    for (const row of words.children) row.querySelector("b").style.left = `${100 * now[row.dataset.word]}%`;
    for (const slider of each.querySelectorAll("input")) {
      if (!(slider.dataset.word in state.own)) slider.value = threshold.value;
    }
    say({ type: "threshold", threshold: now });
  }

  /** Send JSON, if the stream is open. */
  function say(what) {
    if (state.socket?.readyState === WebSocket.OPEN) state.socket.send(JSON.stringify(what));
  }

  async function toggle() {
    if (state.mic) {
      stop();
      return;
    }
    if (state.opening) return;
    state.opening = true;
    try {
      state.mic = await openMicrophone(block);
      Object.assign(state, { columns: [], history: [], events: [], seconds: 0, waiting: [], retry: 500 });
      list.replaceChildren();
      connect();
      start.textContent = "Stop";
      start.className = "button live big";
      miss.disabled = false;
    } catch (error) {
      toast(error.message, "error");
    } finally {
      state.opening = false;
    }
  }

  /** Close the microphone and the stream. */
  function stop() {
    state.mic?.close();
    state.mic = null;
    const socket = state.socket;
    state.socket = null;
    socket?.close();
    start.textContent = "Listen";
    start.className = "button primary big";
    miss.disabled = true;
    level.style.transform = "scaleX(0)";
  }

  /** With another model the stream begins anew. */
  function restart() {
    const chosen = model.options[model.selectedIndex]?.value;
    api.get("/api/models").then(({ models }) => showWords(models.find((one) => one.id === chosen).words));
    if (!state.mic) return;
    const socket = state.socket;
    state.socket = null;
    socket?.close();
    Object.assign(state, { history: [], columns: [] });
    connect();
  }

  /** Open the stream; if it is lost, again, and what was said meanwhile is sent then. */
  function connect() {
    const socket = new WebSocket(listenAddress());
    state.socket = socket;
    socket.onopen = () => {
      socket.send(JSON.stringify({ sr: state.mic.sr, model: model.value, threshold: levels() }));
    };
    socket.onmessage = (event) => received(socket, JSON.parse(event.data));
    socket.onclose = () => {
      if (state.socket !== socket) return;
      toast("The connection was lost; trying again. What you say meanwhile is kept.", "error");
      setTimeout(() => state.mic && state.socket === socket && connect(), state.retry);
      state.retry = Math.min(8000, 2 * state.retry);
    };
    socket.ready = false;
  }

  /** A block of the microphone: sent, or kept until the stream is open. */
  function block(samples) {
    if (state.socket?.ready && state.socket.readyState === WebSocket.OPEN) state.socket.send(samples);
    else if (state.waiting.push(samples) > WAITING) state.waiting.shift();
  }

  /** A message of the server. */
  function received(socket, message) {
    if (message.type === "ready") {
      socket.ready = true;
      state.retry = 500;
      for (const samples of state.waiting.splice(0)) socket.send(samples);
    } else if (message.type === "heard") heard(message);
    else if (message.type === "map") showMemory(message);
    else if (message.type === "marked") toast(`kept as ${message.file}`);
    else if (message.type === "error") toast(message.error, "error");
  }

  /** What a block made known. */
  function heard(message) {
    const bytes = bytesOf(message.mel);
    for (let at = 0; at < bytes.length; at += BANDS) state.columns.push(bytes.subarray(at, at + BANDS));
    state.columns.splice(0, state.columns.length - SHOWN / HOP);
    state.history.push({ seconds: message.seconds, scores: message.scores });
    while (state.history.length && state.history[0].seconds < message.seconds - SHOWN) state.history.shift();
    state.seconds = message.seconds;
    for (const event of message.events) addEvent(event);
    time.textContent = clock(message.seconds);
    level.style.transform = `scaleX(${Math.max(0, Math.min(1, (message.level + 60) / 60))})`;
    meter.classList.toggle("clipped", message.clipped);
    const now = levels();
    for (const row of words.children) {
      const score = message.scores[row.dataset.word] ?? 0;
      row.querySelector("i").style.transform = `scaleX(${score})`;
      row.querySelector(".number").textContent = score.toFixed(2);
      row.classList.toggle("now", score >= now[row.dataset.word]);
    }
    requestAnimationFrame(draw);
  }

  /** A detected word: into the list, with a button against false alarms. */
  function addEvent(event) {
    hint.hidden = true;
    state.events.push(event);
    state.events.splice(0, state.events.length - MOST_EVENTS);
    const wrong = h("button", { class: "button", onclick: () => mark("false alarm", event, wrong) }, "not said");
    const line = h(
      "li",
      { dataset: { label: event.label } },
      h("b", null, event.label),
      h("span", { class: "number muted small" }, `${clock(event.start)}  ${(100 * event.score).toFixed(0)} %`),
      wrong,
    );
    list.prepend(line);
    while (list.children.length > MOST_EVENTS) list.lastChild.remove();
    document.dispatchEvent(new CustomEvent("audioseq:event", { detail: event }));
  }

  /** Keep a false alarm, or a word that was missed, with its sound. */
  function mark(kind, event, button) {
    const about = event
      ? { seconds: (event.start + event.end) / 2, label: event.label, score: event.score }
      : { seconds: Math.max(0, state.seconds - 1), label: missed.value };
    say({ type: "mark", kind, ...about });
    if (button) button.disabled = true;
  }

  /** Ask for the memory of the last second now and then. */
  function mapping() {
    mapPanel.hidden = !showMap.checked;
    clearInterval(state.mapTimer);
    if (showMap.checked) state.mapTimer = setInterval(() => state.mic && say({ type: "map" }), MAP_EVERY);
  }

  function showMemory(message) {
    drawMatrix(map, message.share, 220);
    const last = message.share.at(-1);
    const strongest = last.indexOf(Math.max(...last));
    const ago = (last.length - 1 - strongest) * message.seconds_per_step;
    const word = message.label?.startsWith("_") ? "none of its words" : message.label;
    mapText.textContent = `${message.layer}: ${word} (${(100 * message.score).toFixed(0)} %); its state now owes most to ${ago.toFixed(2)} s ago. Right: the frame that was read. Down: the moment.`;
  }

  /** The spectrogram with its words, and the scores. */
  function draw() {
    drawStrip(strip, state.columns, state.seconds - state.columns.length * HOP, state.events);
    drawScores(lines, state.history, state.seconds - SHOWN, SHOWN, Number(threshold.value));
  }

  async function detectFile(file) {
    found.hidden = false;
    found.replaceChildren(h("p", { class: "muted", role: "status" }, `reading ${file.name}`));
    try {
      const answer = await api.upload(`/api/detect?model=${encodeURIComponent(model.value)}&threshold=${threshold.value}`, file);
      showFound(file.name, answer);
    } catch (error) {
      found.replaceChildren(h("p", { class: "bad", role: "alert" }, `${file.name}: ${error.message}`));
    }
  }

  function showFound(name, answer) {
    const picture = h("canvas", { class: "strip", role: "img", "aria-label": `spectrogram of ${name}` });
    const curve = h("canvas", { role: "img", "aria-label": `scores of ${name}` });
    const lines = answer.events.map((one) =>
      h("li", null, h("b", null, one.label), h("span", { class: "number muted small" }, `${clock(one.start)}  ${(100 * one.score).toFixed(0)} %`)),
    );
    found.replaceChildren(
      h("p", { dataset: { test: "found" } }, `${name}: ${answer.events.length} word${answer.events.length === 1 ? "" : "s"} in ${clock(answer.seconds)}`),
      picture,
      curve,
      h("ol", { class: "events", "aria-label": `words of ${name}`, tabIndex: 0 }, lines),
    );
    const bytes = bytesOf(answer.mel);
    const columns = Array.from({ length: Math.floor(bytes.length / BANDS) }, (_, t) => bytes.subarray(t * BANDS, (t + 1) * BANDS));
    drawStrip(picture, columns, 0, answer.events, answer.seconds);
    const history = answer.scores.map((row, i) => ({
      seconds: (i + 1) * answer.every,
      scores: Object.fromEntries(answer.words.map((word, k) => [word, row[k]])),
    }));
    drawScores(curve, history, 0, answer.seconds, Number(threshold.value));
  }

  draw();
  return { shown: draw };
}

/** A spectrogram from a second on, with boxes for the words in it. */
function drawStrip(canvas, columns, begin, events, seconds = SHOWN) {
  const { context, width, height } = fitted(canvas, 150);
  context.fillStyle = "#10161a";
  context.fillRect(0, 0, width, height);
  if (!columns.length) return;
  const flat = new Uint8Array(columns.length * BANDS);
  columns.forEach((column, t) => flat.set(column, t * BANDS));
  const scale = width / seconds;
  const right = columns.length * HOP * scale;
  context.imageSmoothingEnabled = true;
  context.drawImage(imageOf(flat, BANDS), 0, 0, right, height);
  context.font = "600 13px system-ui, sans-serif";
  for (const event of events) {
    const x = (event.start - begin) * scale;
    const w = (event.end - event.start) * scale;
    if (x + w < 0) continue;
    context.strokeStyle = "#ffffff";
    context.lineWidth = 2;
    context.strokeRect(x, 4, w, height - 8);
    const label = context.measureText(event.label).width;
    context.fillStyle = "#ffffff";
    context.fillRect(x, 4, label + 10, 20);
    context.fillStyle = "#10161a";
    context.fillText(event.label, x + 5, 18);
  }
}

/** The averaged scores over time; the words that were highest have their names. */
function drawScores(canvas, history, begin, seconds, threshold) {
  const { context, width, height } = fitted(canvas, 120);
  context.clearRect(0, 0, width, height);
  const x = (t) => ((t - begin) / seconds) * width;
  const y = (score) => height - 6 - score * (height - 20);
  context.strokeStyle = colour("--line");
  context.lineWidth = 1;
  for (const mark of [0, 0.5, 1]) {
    context.beginPath();
    context.moveTo(0, y(mark));
    context.lineTo(width, y(mark));
    context.stroke();
  }
  context.setLineDash([5, 4]);
  context.strokeStyle = colour("--muted");
  context.beginPath();
  context.moveTo(0, y(threshold));
  context.lineTo(width, y(threshold));
  context.stroke();
  context.setLineDash([]);
  if (!history.length) return;
  const peak = (word) => history.reduce((best, one) => (one.scores[word] > best.scores[word] ? one : best), history[0]);
  Object.keys(history[0].scores).forEach((word, i) => {
    const top = peak(word);
    if (top.scores[word] < 0.2) return;
    context.strokeStyle = context.fillStyle = colour(`--hue-${i % 8}`);
    context.lineWidth = 2;
    context.beginPath();
    history.forEach((one, k) => context[k ? "lineTo" : "moveTo"](x(one.seconds), y(one.scores[word])));
    context.stroke();
    context.font = "12px system-ui, sans-serif";
    context.fillText(word, Math.max(0, Math.min(x(top.seconds) - 10, width - 40)), Math.max(11, y(top.scores[word]) - 4));
  });
}
