import { barsOf, endOf, keyName, merged, only, secondsAt, tempoOf, tickAt } from "./compose-piece.js";
import { field, h } from "./dom.js";
import { paintSmall } from "./roll-paint.js";

const WORDS = { new: "New", continue: "Continue", fill: "Fill", harmonise: "Harmonise", accompany: "Accompany", drums: "Drums" };
const ABOUT = {
  new: "Writes pieces from nothing.",
  continue: "Goes on from where the piece ends.",
  fill: "Writes the chosen bars anew, between what stands. Drag on the bar numbers to choose them.",
  harmonise: "Puts three more voices under the active track.",
  accompany: "Puts chords and a bass under the active track.",
  drums: "Adds a drummer as a new track.",
};

/** A select of names, with an empty choice first where one is given. */
function choice(names, empty, selected) {
  const options = names.map((name) => h("option", { value: name, selected: name === selected }, name));
  return h("select", {}, empty === undefined ? null : h("option", { value: "" }, empty), ...options);
}

/** An input of a number. */
function number(value, min, max, step = 1, placeholder = "") {
  return h("input", { type: "number", value, min, max, step, placeholder });
}

/** The controls of what is made. */
function controlsOf(choices) {
  const any = "as it comes";
  return {
    bars: [field("Bars", number(8, 1, 512)), ["new", "drums"]],
    more: [field("More bars", number(4, 1, 256)), ["continue"]],
    key: [field("Key", choice(choices.keys, any)), ["new", "continue", "fill", "harmonise", "accompany"]],
    pattern: [field("Pattern", choice(choices.patterns)), ["accompany"]],
    style: [field("Style", h("select", {})), ["drums"]],
    instruments: [field("Instruments", choice(choices.instruments, any)), ["new"]],
    tracks: [field("Tracks", h("select", {}, h("option", { value: "" }, "the active one"), h("option", { value: "all" }, "all"))), ["fill"]],
    chords: [field("Chords, one a bar", h("input", { type: "text", placeholder: "C Am F G7" })), ["new", "continue", "accompany"]],
    form: [field("Form", h("input", { type: "text", placeholder: "AABA" })), ["new"]],
    tempo: [field("Tempo", number("", 20, 300, 1, "any")), ["new"]],
    density: [field("Density", number("", 0.05, 1, 0.05, "any")), ["new"]],
    temperature: [field("Temperature", number("", 0, 2, 0.05, "usual")), ["new", "continue", "fill", "harmonise", "drums"]],
    seed: [field("Seed", number("", 0, 2 ** 32 - 1, 1, "any")), ["new", "continue", "fill", "harmonise", "drums"]],
  };
}

/** The panel that asks the network, and the suggestions that come back. */
export class Maker {
  what = "new";
  #abort = null;
  #cards = [];

  /** `view`: editor, roll, player, listen(source, from), taken(piece). */
  constructor(view, { api, toast, choices, models }) {
    Object.assign(this, { view, api, toast, models, keys: choices.keys });
    this.controls = controlsOf(choices);
    this.tabs = Object.entries(WORDS).map(([what, word]) =>
      h("button", { class: "chip", dataset: { test: `make-${what}` }, onclick: () => this.choose(what) }, word),
    );
    this.about = h("p", { class: "muted small" });
    this.go = h("button", { class: "button primary", type: "submit", dataset: { test: "make" } }, "Make four");
    this.cancel = h("button", { class: "button", type: "button", hidden: true, dataset: { test: "cancel" }, onclick: () => this.#abort?.abort() }, "Cancel");
    this.progress = h("progress", { hidden: true, "aria-label": "the network is writing" });
    this.time = h("span", { class: "muted small number" });
    const form = h(
      "form",
      { class: "make-form", onsubmit: (event) => (event.preventDefault(), this.make()) },
      ...Object.values(this.controls).map(([control]) => control),
      h("div", { class: "row make-go" }, this.go, this.cancel, this.progress, this.time),
    );
    this.panel = h("section", { class: "panel stack make", "aria-label": "Make" }, h("h2", {}, "Make"), h("div", { class: "chips", role: "group", "aria-label": "What is made" }, ...this.tabs), this.about, form);
    this.title = h("h2", {}, "Suggestions");
    this.list = h("ul", { class: "ideas" });
    this.close = h("button", { class: "button quiet small", onclick: () => this.show("", []) }, "Close");
    this.shelf = h("section", { class: "panel stack shelf", hidden: true, "aria-label": "Suggestions" }, h("div", { class: "row shelf-top" }, this.title, this.close), this.list);
    view.player.addEventListener("change", () => this.mark());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.mark());
    this.choose("new");
  }

  /** What a control holds. */
  value(name) {
    return this.controls[name][0].querySelector("input, select").value.trim();
  }

  /** Choose what is made. */
  choose(what) {
    this.what = what;
    for (const [at, tab] of this.tabs.entries()) tab.setAttribute("aria-pressed", String(Object.keys(WORDS)[at] === what));
    for (const [control, where] of Object.values(this.controls)) control.hidden = !where.includes(what);
    this.refresh();
  }

  /** Fit the panel to the piece, the chosen bars and the models. */
  refresh() {
    const { range } = this.view.roll;
    const bars = range && (range.first === range.last ? `bar ${range.first + 1}` : `bars ${range.first + 1} to ${range.last + 1}`);
    this.about.textContent = this.what === "fill" && bars ? `Writes ${bars} anew, between what stands.` : ABOUT[this.what];
    this.go.textContent = this.what === "accompany" ? "Make it" : this.what === "new" ? "Four ideas" : "Make four";
    const styles = this.models().find((one) => one.kind === "drummer" && one.styles)?.styles ?? [];
    const select = this.controls.style[0].querySelector("select");
    if (select.options.length !== styles.length + 1) select.replaceChildren(...choice(styles, "as it comes").children);
  }

  /** The options that are set. */
  options(...names) {
    const asked = {};
    for (const name of names) {
      const value = this.value(name);
      if (value) asked[name] = this.controls[name][0].querySelector("[type=number]") ? Number(value) : value;
    }
    return asked;
  }

  /** What is asked: path, body, and what becomes of a piece that comes back. */
  request() {
    const { editor, roll } = this.view;
    const { piece, active } = editor;
    const free = this.options("temperature", "seed");
    const needed = () => {
      if (!piece.notes.length) throw new Error("There are no notes yet: draw some, or begin with New.");
    };
    if (this.what === "new") return ["generate", { count: 4, ...free, ...this.options("bars", "key", "instruments", "chords", "form", "tempo", "density") }, (made) => made];
    if (this.what === "drums") {
      const asked = { count: 4, ...free, ...this.options("bars", "style"), tempo: tempoOf(piece) };
      return ["drum", asked, (made) => (piece.notes.length ? merged(piece, made) : made)];
    }
    needed();
    if (this.what === "continue") {
      const bars = barsOf(piece).length + (Number(this.value("more")) || 4);
      return ["generate", { piece, bars, count: 4, ...free, ...this.options("key", "chords") }, (made) => made];
    }
    if (this.what === "fill") {
      if (!roll.range) throw new Error("Choose bars first: drag on the bar numbers over the roll, or press B in it.");
      const bars = [roll.range.first + 1, roll.range.last + 1];
      const tracks = this.value("tracks") === "all" ? {} : { tracks: [active] };
      return ["fill", { piece, bars, count: 4, ...tracks, ...free, ...this.options("key") }, (made) => made];
    }
    if (!editor.own.length) throw new Error("The active track has no notes: choose the track with the melody.");
    const rest = only(piece, (track, at) => at !== active);
    const kept = (made) => {
      const sounding = new Set(made.notes.map((note) => note[2]));
      const written = only(made, (track, at) => !track.drum && sounding.has(at));
      return rest.notes.length ? merged(written, rest) : written;
    };
    if (this.what === "harmonise") return ["harmonise", { piece, track: active, count: 4, ...free, ...this.options("key") }, kept];
    return ["accompany", { piece, track: active, ...this.options("key", "chords", "pattern") }, kept];
  }

  /** Ask, and show what comes. */
  async make() {
    if (this.#abort) return;
    const { what } = this;
    const abort = (this.#abort = new AbortController());
    const began = performance.now();
    const tell = () => (this.time.textContent = `${Math.floor((performance.now() - began) / 1000)} s`);
    const timer = setInterval(tell, 500);
    this.busy(true);
    try {
      const [path, asked, become] = this.request();
      const { pieces } = await this.api.post(`/api/compose/${path}`, asked, { signal: abort.signal });
      this.show(WORDS[what], pieces.map((made) => ({ made, piece: become(made) })));
    } catch (error) {
      if (error.name !== "AbortError") this.toast(error.message, "error");
    } finally {
      clearInterval(timer);
      this.time.textContent = abort.signal.aborted ? "cancelled" : "";
      this.#abort = null;
      this.busy(false);
    }
  }

  /** Show that it works. */
  busy(on) {
    this.go.disabled = on;
    this.cancel.hidden = this.progress.hidden = !on;
    this.view.busy?.(on);
  }

  /** Put suggestions side by side. */
  show(word, ideas) {
    this.title.textContent = word ? `${word}: ${ideas.length === 1 ? "a suggestion" : `${ideas.length} suggestions`}` : "";
    this.shelf.hidden = !ideas.length;
    if (this.#cards.some(({ source }) => source === this.view.player.source)) this.view.player.stop();
    this.#cards = ideas.map((idea, at) => this.card(idea, at));
    this.list.replaceChildren(...this.#cards.map(({ element }) => element));
    this.mark();
    if (ideas.length) this.shelf.scrollIntoView({ block: "nearest" });
  }

  /** A suggestion: its notes at a glance, to be heard and taken. */
  card({ made, piece }, at) {
    const source = { piece, audible: () => true };
    const name = `suggestion ${at + 1}`;
    const canvas = h("canvas", { class: "idea-roll", role: "img", "aria-label": `the notes of ${name}` });
    const play = h("button", { class: "button small", "aria-label": `Play ${name}`, dataset: { test: "suggestion-play" }, onclick: () => this.view.listen(source) }, "Play");
    const take = () => {
      this.view.taken(piece);
      this.toast("It is in the roll now; undo brings back what was there.");
    };
    const facts = [keyName(made, this.keys), `${barsOf(made).length} bars`, `${made.notes.length} notes`, made.seed === undefined ? "" : `seed ${made.seed}`];
    const element = h(
      "li",
      { class: "idea", dataset: { test: "suggestion" } },
      canvas,
      h("p", { class: "muted small" }, facts.filter(Boolean).join(" · ")),
      h("div", { class: "row" }, play, h("button", { class: "button primary small", "aria-label": `Take ${name}`, dataset: { test: "suggestion-take" }, onclick: take }, "Take")),
    );
    return { element, canvas, play, source, end: Math.max(1, barsOf(piece).at(-1).end, endOf(piece)) };
  }

  /** Draw which of them plays, and where. */
  mark() {
    const { player } = this.view;
    for (const { canvas, play, source, end } of this.#cards) {
      const on = player.playing && player.source === source;
      play.textContent = on ? "Stop" : "Play";
      if (source.piece.notes.length) paintSmall(canvas, source.piece, end, on ? tickAt(source.piece, player.position) : null);
    }
  }
}

/** Seconds of a range of bars, for a loop. */
export function secondsOf(piece, bars, { first, last }) {
  const least = Math.min(last, bars.length - 1);
  return [secondsAt(piece, bars[Math.min(first, least)].tick), secondsAt(piece, bars[least].end)];
}

