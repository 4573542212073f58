import { emptyPiece } from "./compose-piece.js";

const MOST_STATES = 200;

/** A piece that is edited, with what is chosen of it, and its history. Fires "piece" and "look". */
export class Editor extends EventTarget {
  piece = emptyPiece();
  selection = new Set();
  active = 0;
  mix = [];
  clipboard = [];
  past = [];
  future = [];

  /** Tell that something changed. */
  fire(type) {
    this.dispatchEvent(new Event(type));
  }

  /** How a track is heard and seen. */
  mixOf(track) {
    return (this.mix[track] ??= { mute: false, solo: false, hidden: false });
  }

  /** Whether a track sounds. */
  audible(track) {
    const alone = this.piece.tracks.some((_, at) => this.mixOf(at).solo);
    return alone ? this.mixOf(track).solo : !this.mixOf(track).mute;
  }

  /** Show a state without keeping the one before: while something is dragged. */
  preview(piece, selection = this.selection) {
    this.piece = piece;
    this.selection = selection;
    this.active = Math.min(this.active, Math.max(0, piece.tracks.length - 1));
    this.fire("piece");
  }

  /** Keep the state before a drag, so that it can be undone. */
  settle(before) {
    if (before === this.piece) return;
    this.past.push(before);
    if (this.past.length > MOST_STATES) this.past.shift();
    this.future = [];
    this.fire("piece");
  }

  /** A new state. */
  commit(piece, selection = new Set()) {
    const before = this.piece;
    this.preview(piece, selection);
    this.settle(before);
  }

  /** Back to the state before. */
  undo() {
    if (!this.past.length) return;
    this.future.push(this.piece);
    this.preview(this.past.pop(), new Set());
  }

  /** Forth to the state that was undone. */
  redo() {
    if (!this.future.length) return;
    this.past.push(this.piece);
    this.preview(this.future.pop(), new Set());
  }

  /** Choose notes. */
  select(notes) {
    this.selection = new Set(notes);
    this.fire("look");
  }

  /** Edit another track. */
  activate(track) {
    this.active = track;
    this.selection = new Set();
    this.fire("look");
  }

  /** The piece and the selection with each chosen note changed, or removed where nothing comes back. */
  changed(change, { piece = this.piece, selection = this.selection } = {}) {
    const chosen = new Set();
    const notes = piece.notes.flatMap((note) => {
      if (!selection.has(note)) return [note];
      const made = change(note);
      if (!made) return [];
      chosen.add(made);
      return [made];
    });
    return [{ ...piece, notes }, chosen];
  }

  /** The chosen notes moved, all by as much, as far as there is room. */
  moved(ticks, pitches, from = this) {
    const chosen = [...from.selection];
    const least = Math.min(...chosen.map((note) => note[3]));
    const low = Math.min(...chosen.map((note) => note[0]));
    const high = Math.max(...chosen.map((note) => note[0]));
    const by = Math.max(-least, Math.round(ticks));
    const up = Math.max(-low, Math.min(127 - high, pitches));
    return this.changed(([pitch, velocity, track, start, end]) => [pitch + up, velocity, track, start + by, end + by], from);
  }

  /** The chosen notes longer or shorter, none under a least length. */
  lengthened(ticks, least, from = this) {
    return this.changed(([pitch, velocity, track, start, end]) => [pitch, velocity, track, start, Math.max(start + least, Math.round(end + ticks))], from);
  }

  /** Remove the chosen notes. */
  remove() {
    if (this.selection.size) this.commit(this.changed(() => null)[0]);
  }

  /** Add notes and choose them. */
  add(notes) {
    this.commit({ ...this.piece, notes: [...this.piece.notes, ...notes] }, new Set(notes));
  }

  /** Keep the chosen notes to paste them. */
  copy() {
    if (this.selection.size) this.clipboard = [...this.selection];
  }

  /** Paste at a tick, into the active track; gives the tick where what was pasted ends. */
  paste(tick) {
    if (!this.clipboard.length) return tick;
    const first = Math.min(...this.clipboard.map((note) => note[3]));
    const notes = this.clipboard.map(([pitch, velocity, , start, end]) => [pitch, velocity, this.active, start - first + tick, end - first + tick]);
    this.add(notes);
    return Math.max(...notes.map((note) => note[4]));
  }

  /** The notes of the active track. */
  get own() {
    return this.piece.notes.filter((note) => note[2] === this.active);
  }
}
