import { barAt, pitchName } from "./compose-piece.js";
import { colour } from "./dom.js";

export const KEYS = 48; // width of the keys
export const RULER = 26; // height of the bar numbers
const BLACK = new Set([1, 3, 6, 8, 10]);
const WHITE = "#f1efe9"; // keys, by day and night
const DARK = "#22282c";
const FONT = "system-ui, 'DejaVu Sans', sans-serif";

/** The colours of the style sheet. */
export function colours() {
  const named = Object.fromEntries(["paper", "panel", "ink", "muted", "line", "accent", "warm"].map((name) => [name, colour(`--${name}`)]));
  return { ...named, hues: Array.from({ length: 8 }, (_, at) => colour(`--hue-${at}`)) };
}

/** All of the roll. */
export function paint(roll) {
  const context = roll.canvas.getContext("2d");
  const ratio = devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const size = { width: roll.canvas.width / ratio, height: roll.canvas.height / ratio };
  context.fillStyle = roll.colours.panel;
  context.fillRect(0, 0, size.width, size.height);
  grid(context, roll, size);
  halo(context, roll, size);
  notes(context, roll, size);
  marks(context, roll, size);
  keys(context, roll, size);
  ruler(context, roll, size);
  playhead(context, roll, size);
}

/** A line of one pixel. */
function line(context, x, y, width, height) {
  context.fillRect(Math.round(x), Math.round(y), width, height);
}

/** Rows of the keys, lines of bars, beats and steps. */
function grid(context, roll, { width, height }) {
  const { colours: c } = roll;
  context.fillStyle = c.ink;
  const bottom = roll.pitchAt(height);
  for (let pitch = roll.pitchAt(RULER); pitch >= bottom; pitch--) {
    const y = roll.y(pitch);
    context.globalAlpha = 0.05;
    if (BLACK.has(pitch % 12)) context.fillRect(KEYS, y, width, roll.row);
    context.globalAlpha = pitch % 12 === 0 ? 0.22 : 0.06;
    if (pitch % 12 === 0 || pitch % 12 === 5) line(context, KEYS, y + roll.row, width, 1);
  }
  const { bars } = roll;
  for (let at = barAt(bars, roll.tickAt(KEYS)); at < bars.length && roll.x(bars[at].tick) < width; at++) {
    const { tick, end, beat } = bars[at];
    const fine = roll.step * roll.scale >= 9 ? roll.step : beat;
    context.globalAlpha = 0.07;
    for (let t = tick + fine; t < end - 1; t += fine) line(context, roll.x(t), RULER, 1, height);
    context.globalAlpha = 0.13;
    for (let t = tick + beat; t < end - 1; t += beat) line(context, roll.x(t), RULER, 1, height);
    context.globalAlpha = 0.38;
    line(context, roll.x(tick), RULER, 1, height);
  }
  if (roll.range) {
    const [from, until] = rangeOf(roll);
    context.globalAlpha = 0.09;
    context.fillStyle = c.accent;
    context.fillRect(from, RULER, until - from, height);
  }
  context.globalAlpha = 1;
}

/** From where to where the chosen bars are. */
function rangeOf(roll) {
  const { range, bars } = roll;
  const last = bars[Math.min(range.last, bars.length - 1)];
  return [roll.x(bars[Math.min(range.first, bars.length - 1)].tick), roll.x(last.end)];
}

/** What the network remembers: light where its state looks. */
function halo(context, roll, { height }) {
  if (!roll.halo?.length) return;
  const most = Math.max(...roll.halo.map(({ share }) => share));
  const wide = Math.max(10, roll.zoom * 0.5);
  for (const { tick, share } of roll.halo) {
    const x = roll.x(tick);
    const light = context.createLinearGradient(x - wide, 0, x + wide, 0);
    light.addColorStop(0, "transparent");
    light.addColorStop(0.5, roll.colours.warm);
    light.addColorStop(1, "transparent");
    context.globalAlpha = 0.12 + 0.6 * (share / most);
    context.fillStyle = light;
    context.fillRect(x - wide, RULER, 2 * wide, height);
  }
  context.globalAlpha = 1;
}

/** The notes, those of the active track on top. */
function notes(context, roll, { width, height }) {
  const { editor } = roll;
  const behind = [];
  const own = [];
  for (const note of editor.piece.notes) {
    if (note[2] === editor.active) own.push(note);
    else if (!editor.mixOf(note[2]).hidden) behind.push(note);
  }
  for (const note of behind) box(context, roll, note, { width, height, strength: 0.42 });
  if (!editor.mixOf(editor.active).hidden) for (const note of own) box(context, roll, note, { width, height, strength: 1 });
  context.globalAlpha = 1;
}

/** A note. */
function box(context, roll, note, { width, height, strength }) {
  const [pitch, velocity, track, start, end] = note;
  const x = roll.x(start);
  const w = Math.max(3, (end - start) * roll.scale - 1);
  const y = roll.y(pitch);
  if (x > width || x + w < KEYS || y > height || y + roll.row < RULER) return;
  const chosen = roll.editor.selection.has(note);
  context.globalAlpha = strength * (0.35 + 0.65 * (velocity / 127));
  context.fillStyle = roll.colours.hues[track % 8];
  context.beginPath();
  context.roundRect(x + 0.5, y + 1, w, roll.row - 2, Math.min(3, w / 3));
  context.fill();
  if (strength < 1 && !chosen) return;
  context.globalAlpha = chosen ? 1 : 0.9;
  context.strokeStyle = chosen ? roll.colours.ink : roll.colours.hues[track % 8];
  context.lineWidth = chosen ? 2 : 1;
  context.stroke();
}

/** What the pointer draws open, and the cursor of the keyboard. */
function marks(context, roll) {
  const { colours: c, marquee, cursor } = roll;
  if (marquee) {
    const [x, y] = [roll.x(Math.min(marquee.from, marquee.to)), roll.y(Math.max(marquee.high, marquee.low))];
    const size = [Math.abs(marquee.to - marquee.from) * roll.scale, (Math.abs(marquee.high - marquee.low) + 1) * roll.row];
    context.globalAlpha = 0.14;
    context.fillStyle = c.accent;
    context.fillRect(x, y, ...size);
    context.globalAlpha = 1;
    context.strokeStyle = c.accent;
    context.lineWidth = 1;
    context.strokeRect(x, y, ...size);
  }
  if (roll.canvas.matches(":focus-visible")) {
    context.strokeStyle = c.accent;
    context.lineWidth = 2;
    context.strokeRect(roll.x(cursor.tick), roll.y(cursor.pitch), Math.max(4, roll.step * roll.scale), roll.row);
  }
}

/** The keys of the piano, or the names of the drums. */
function keys(context, roll, { height }) {
  const { colours: c, editor } = roll;
  const drum = editor.piece.tracks[editor.active]?.drum;
  context.fillStyle = drum ? c.panel : WHITE;
  context.fillRect(0, 0, KEYS, height);
  context.font = `10px ${FONT}`;
  context.textBaseline = "middle";
  const bottom = roll.pitchAt(height);
  for (let pitch = roll.pitchAt(RULER); pitch >= bottom; pitch--) {
    const y = roll.y(pitch);
    const name = drum ? pitchName(pitch, true) : pitch % 12 === 0 ? pitchName(pitch) : "";
    context.fillStyle = drum ? c.ink : DARK;
    if (!drum && BLACK.has(pitch % 12)) {
      context.globalAlpha = 0.85;
      context.fillRect(0, y + 0.5, KEYS * 0.6, roll.row - 1);
    }
    context.globalAlpha = 0.16;
    if (drum || pitch % 12 === 0 || pitch % 12 === 5) line(context, 0, y + roll.row, KEYS, 1);
    context.globalAlpha = 1;
    context.fillStyle = drum ? c.muted : DARK;
    if (name && !(drum && /\d$/.test(name) && name.length < 5)) context.fillText(name, drum ? 3 : KEYS - 20, y + roll.row / 2 + 0.5, KEYS - 4);
  }
  context.fillStyle = c.line;
  context.fillRect(KEYS - 1, 0, 1, height);
}

/** The bar numbers. */
function ruler(context, roll, { width }) {
  const { colours: c, bars } = roll;
  context.save();
  context.fillStyle = c.paper;
  context.fillRect(0, 0, width, RULER);
  context.beginPath();
  context.rect(KEYS, 0, width, RULER);
  context.clip();
  if (roll.range) {
    const [from, until] = rangeOf(roll);
    context.fillStyle = c.accent;
    context.globalAlpha = 0.3;
    context.fillRect(from, 0, until - from, RULER);
    context.globalAlpha = 1;
    context.fillRect(from, RULER - 3, until - from, 3);
  }
  const wide = (bars[0].end - bars[0].tick) * roll.scale;
  const every = wide > 34 ? 1 : wide > 16 ? 2 : 4;
  context.font = `600 11px ${FONT}`;
  context.textBaseline = "middle";
  for (let at = barAt(bars, roll.tickAt(KEYS)); at < bars.length && roll.x(bars[at].tick) < width; at++) {
    const x = roll.x(bars[at].tick);
    context.fillStyle = c.muted;
    line(context, x, at % every ? RULER - 6 : 5, 1, RULER);
    if (at % every === 0) context.fillText(String(at + 1), x + 5, RULER / 2 + 0.5);
  }
  context.restore();
  context.fillStyle = c.line;
  context.fillRect(0, RULER - 1, width, 1);
}

/** Where it plays. */
function playhead(context, roll, { height }) {
  const x = roll.x(roll.playhead);
  if (x < KEYS - 1) return;
  context.fillStyle = roll.colours.accent;
  line(context, x, RULER - 6, 2, height);
  context.beginPath();
  context.moveTo(x - 5, 8);
  context.lineTo(x + 7, 8);
  context.lineTo(x + 1, 20);
  context.fill();
}

/** A piece at a glance, fitted into a canvas, with the place where it plays. */
export function paintSmall(canvas, piece, end, at = null) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const c = colours();
  const pitches = piece.notes.map((note) => note[0]);
  const low = Math.min(...pitches) - 2;
  const row = (height - 4) / Math.max(14, Math.max(...pitches) + 3 - low);
  for (const [pitch, velocity, track, start, stop] of piece.notes) {
    context.globalAlpha = 0.4 + 0.6 * (velocity / 127);
    context.fillStyle = c.hues[track % 8];
    const w = Math.max(1.5, ((stop - start) / end) * width - 1);
    context.fillRect((start / end) * width, height - 2 - (pitch - low) * row, w, Math.max(2, row - 0.5));
  }
  context.globalAlpha = 1;
  context.fillStyle = c.ink;
  if (at !== null) line(context, (at / end) * width, 0, 1.5, height);
}
