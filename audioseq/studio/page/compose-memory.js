import { placeOf } from "./compose-piece.js";
import { h } from "./dom.js";
import { drawMatrix } from "./draw.js";

/** The panel that shows to which tokens the network's state looks back. */
export class Memory {
  constructor(roll, { api, toast }) {
    Object.assign(this, { roll, api, toast });
    this.button = h("button", { class: "button small", "aria-pressed": "false", dataset: { test: "memory" }, onclick: () => this.toggle() }, "What it remembers");
    this.text = h("p", { class: "small", role: "status", dataset: { test: "memory-text" } });
    this.matrix = h("canvas", { class: "memory-matrix", role: "img", "aria-label": "heat map: which tokens the state of each moment is owed to" });
    const legend = h("p", { class: "muted small legend" }, h("span", { class: "halo-key", "aria-hidden": "true" }), "The brighter a place glows in the roll, the more of the network's state is owed to it.");
    const axes = h("p", { class: "muted small" }, "Each row is a moment, the last at the bottom; each column a token that it read, the first at the left.");
    this.panel = h("section", { class: "panel memory", hidden: true, "aria-label": "What it remembers" }, h("div", { class: "stack" }, h("h2", {}, "What it remembers"), this.text, legend, axes), this.matrix);
  }

  /** Ask at the playhead, or switch it off. */
  async toggle() {
    if (this.roll.halo) return this.off();
    const { piece } = this.roll.editor;
    const tick = Math.round(this.roll.playhead || this.roll.cursor.tick);
    this.button.disabled = true;
    try {
      const asked = { piece, tokens: 40, ...(tick ? { tick } : {}) };
      this.show(piece, await this.api.post("/api/compose/memory", asked), tick);
    } catch (error) {
      this.toast(error.message, "error");
    } finally {
      this.button.disabled = false;
    }
    return undefined;
  }

  /** Shares by place. */
  show(piece, { tokens, map }, tick) {
    const sums = new Map();
    for (const one of tokens) sums.set(one.tick, (sums.get(one.tick) ?? 0) + one.share);
    this.roll.halo = [...sums].map(([at, share]) => ({ tick: at, share }));
    const [most] = [...this.roll.halo].sort((one, other) => other.share - one.share);
    const say = (at) => Object.entries(placeOf(piece, at)).map(([name, value]) => `${name} ${value}`).join(" ");
    const where = tick ? say(tick) : "the end";
    this.text.textContent = `At ${where}, of the last ${tokens.length} tokens ${say(most.tick)} weighs most: ${Math.round(100 * most.share)} % of the state.`;
    this.button.setAttribute("aria-pressed", "true");
    this.panel.hidden = false;
    drawMatrix(this.matrix, map.slice(1).map((row) => row.slice(1)), 180);
    this.roll.draw();
    this.panel.scrollIntoView({ block: "nearest" });
  }

  /** Take the light away. */
  off() {
    this.roll.halo = null;
    this.panel.hidden = true;
    this.button.setAttribute("aria-pressed", "false");
    this.roll.draw();
  }
}
