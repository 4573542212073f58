import { barAt, barsOf, endOf, lengthName, pitchName, placeOf } from "./compose-piece.js";
import { h } from "./dom.js";
import { attach } from "./roll-edit.js";
import { KEYS, RULER, colours, paint } from "./roll-paint.js";

const ZOOMS = [12, 18, 26, 38, 54, 76, 108, 150]; // pixels a quarter note
const SPARE = 4; // bars after the last note

/** The piano roll: a canvas that stays in the window of a scrolled box. */
export class Roll {
  tool = matchMedia("(pointer: coarse)").matches ? "scroll" : "draw";
  snap = 1 / 4; // quarter notes
  zoom = matchMedia("(max-width: 560px)").matches ? 26 : 38;
  row = 13;
  cursor = { tick: 0, pitch: 60 };
  range = null; // bars from 0, the last included
  playhead = 0;
  marquee = null;
  halo = null; // [{tick, share}]
  length = 1; // quarter notes of a note that is drawn
  #asked = 0;

  /** `ports`: audition(note), seek(tick), ranged(range), moved(). */
  constructor(editor, ports) {
    this.editor = editor;
    this.ports = ports;
    this.canvas = h("canvas", {
      class: "roll-canvas",
      tabIndex: 0,
      role: "application",
      "aria-roledescription": "piano roll",
      "aria-describedby": "roll-keys",
      dataset: { test: "roll" },
    });
    this.sizer = h("div", { class: "roll-sizer" }, this.canvas);
    this.box = h("div", { class: "roll-box" }, this.sizer);
    this.box.addEventListener("scroll", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    new ResizeObserver(() => this.fit()).observe(this.box);
    editor.addEventListener("piece", () => this.fit());
    editor.addEventListener("look", () => this.draw());
    this.recolour();
    this.setTool(this.tool);
    attach(this);
  }

  /** Read the colours of the style sheet anew. */
  recolour() {
    this.colours = colours();
    this.draw();
  }

  /** Choose what the pointer does: draw, select, erase or scroll. */
  setTool(tool) {
    this.tool = tool;
    this.canvas.dataset.tool = tool;
  }

  /** Pixels a tick. */
  get scale() {
    return this.zoom / this.editor.piece.resolution;
  }

  /** Ticks of a step of the grid. */
  get step() {
    return Math.max(1, Math.round(this.snap * this.editor.piece.resolution));
  }

  /** Where a tick is on the canvas. */
  x(tick) {
    return KEYS + tick * this.scale - this.box.scrollLeft;
  }

  /** Where the upper edge of a pitch is on the canvas. */
  y(pitch) {
    return RULER + (127 - pitch) * this.row - this.box.scrollTop;
  }

  /** The tick at a place on the canvas. */
  tickAt(x) {
    return Math.max(0, (x - KEYS + this.box.scrollLeft) / this.scale);
  }

  /** The pitch at a place on the canvas. */
  pitchAt(y) {
    return Math.max(0, Math.min(127, 127 - Math.floor((y - RULER + this.box.scrollTop) / this.row)));
  }

  /** A tick on the grid: the last before it, or with `near` the nearest. */
  snapped(tick, near = false) {
    const { piece } = this.editor;
    const bars = barsOf(piece, tick + 1);
    const { tick: begin } = bars[barAt(bars, tick)];
    const steps = (tick - begin) / this.step;
    return begin + (near ? Math.round(steps) : Math.floor(steps + 1e-6)) * this.step;
  }

  /** The size of what is scrolled. */
  fit() {
    const { piece } = this.editor;
    const bars = barsOf(piece, Math.max(endOf(piece), this.cursor.tick + 1));
    const last = bars.at(-1);
    this.bars = barsOf(piece, last.end + SPARE * (last.end - last.tick));
    this.sizer.style.width = `${KEYS + this.bars.at(-1).end * this.scale}px`;
    this.sizer.style.height = `${RULER + 128 * this.row}px`;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this.box.clientWidth, this.box.clientHeight];
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    this.draw();
  }

  /** Draw at the next frame. */
  draw() {
    if (this.#asked || !this.canvas) return;
    this.#asked = requestAnimationFrame(() => {
      this.#asked = 0;
      if (this.canvas.width && this.bars) paint(this);
    });
  }

  /** Bring the notes, or middle C, into the window. */
  home() {
    this.fit();
    const { notes } = this.editor.piece;
    const pitches = notes.map((note) => note[0]);
    const middle = notes.length ? (Math.min(...pitches) + Math.max(...pitches)) / 2 : 62;
    this.box.scrollTop = (127.5 - middle) * this.row - (this.box.clientHeight - RULER) / 2;
    this.box.scrollLeft = 0;
    this.draw();
  }

  /** Make it larger or smaller, keeping a tick in its place. */
  zoomBy(steps, tick = this.tickAt(KEYS)) {
    const at = ZOOMS.reduce((best, zoom, i) => (Math.abs(zoom - this.zoom) < Math.abs(ZOOMS[best] - this.zoom) ? i : best), 0);
    const place = this.x(tick);
    this.zoom = ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, at + steps))];
    this.fit();
    this.box.scrollLeft = KEYS + tick * this.scale - place;
  }

  /** Show where it plays; the window follows. */
  follow(tick) {
    this.playhead = tick;
    const x = this.x(tick);
    if (x > this.canvas.clientWidth * 0.9 || x < KEYS) this.box.scrollLeft = Math.max(0, tick * this.scale - this.canvas.clientWidth * 0.1);
    this.draw();
  }

  /** Scroll so that the cursor is seen. */
  reveal() {
    const [x, y] = [this.x(this.cursor.tick), this.y(this.cursor.pitch)];
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (x < KEYS) this.box.scrollLeft += x - KEYS - 20;
    else if (x > width - 60) this.box.scrollLeft += x - width + 120;
    if (y < RULER) this.box.scrollTop += y - RULER - this.row;
    else if (y > height - 2 * this.row) this.box.scrollTop += y - height + 3 * this.row;
  }

  /** The note of the active track at a place. */
  noteAt(tick, pitch, among = this.editor.own) {
    return among.findLast((note) => note[0] === pitch && note[3] <= tick && tick < note[4]);
  }

  /** Choose bars for what is filled and looped, or none. */
  setRange(range) {
    this.range = range;
    this.ports.ranged(range);
    this.draw();
  }

  /** A note in words. */
  describe(note) {
    const { piece, active } = this.editor;
    const { bar, beat } = placeOf(piece, note[3]);
    return `${pitchName(note[0], piece.tracks[active]?.drum)}, bar ${bar} beat ${beat}, ${lengthName(note[4] - note[3], piece.resolution)}`;
  }
}
