import { barAt } from "./compose-piece.js";
import { onKey } from "./roll-keys.js";
import { KEYS, RULER } from "./roll-paint.js";

const EDGE = 7; // pixels of a note's right edge
const STILL = 4; // pixels that a click may move

/** Let a pointer and the keyboard edit the roll. */
export function attach(roll) {
  const { canvas } = roll;
  let gesture = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || gesture) return;
    canvas.focus({ preventScroll: true });
    gesture = begin(roll, pointOf(roll, event), event);
    if (gesture && !gesture.native) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const point = pointOf(roll, event);
    if (gesture) gesture.move?.(point, event);
    else canvas.style.cursor = shape(roll, point);
  });
  canvas.addEventListener("pointerup", (event) => {
    gesture?.end?.(pointOf(roll, event), event);
    gesture = null;
  });
  canvas.addEventListener("pointercancel", () => {
    gesture?.cancel?.();
    gesture = null;
  });
  canvas.addEventListener("dblclick", (event) => {
    const { note } = pointOf(roll, event);
    // the second click on a note that the first has drawn is no wish to remove it
    if (!note || roll.drawn === note || roll.editor.selection.size > 1) return;
    roll.editor.select([note]);
    roll.editor.remove();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      roll.zoomBy(event.deltaY < 0 ? 1 : -1, roll.tickAt(pointOf(roll, event).x));
    },
    { passive: false },
  );
  for (const type of ["focus", "blur"]) canvas.addEventListener(type, () => roll.draw());
  canvas.addEventListener("keydown", (event) => onKey(roll, event));
}

/** Where a pointer is, and the note under it. */
function pointOf(roll, event) {
  const box = roll.canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const [tick, pitch] = [roll.tickAt(x), roll.pitchAt(y)];
  const note = x > KEYS && y > RULER ? roll.noteAt(tick, pitch) : undefined;
  return { x, y, tick, pitch, note };
}

/** The shape of the pointer. */
function shape(roll, { x, y, note }) {
  if (y < RULER) return "col-resize";
  if (x < KEYS) return "pointer";
  if (roll.tool === "erase") return note ? "not-allowed" : "default";
  if (note) return onEdge(roll, note, x) ? "ew-resize" : "move";
  return { draw: "crosshair", select: "default", scroll: "grab" }[roll.tool];
}

/** Whether a place is on the right edge of a note. */
function onEdge(roll, note, x) {
  const end = roll.x(note[4]);
  return x > end - Math.min(EDGE, (end - roll.x(note[3])) / 2);
}

/** What a press begins. */
function begin(roll, point, event) {
  const { editor, tool } = roll;
  if (point.y < RULER) return ranging(roll, point);
  if (point.x < KEYS) {
    roll.ports.audition(point.pitch, 90);
    return null;
  }
  roll.cursor = { tick: roll.snapped(point.tick), pitch: point.pitch };
  if (tool === "erase") return erasing(roll, point);
  if (point.note) return holding(roll, point, event);
  if (tool === "scroll") return panning(roll, point, event);
  if (tool === "select" || event.shiftKey) {
    const behind = roll.noteAt(point.tick, point.pitch, editor.piece.notes.filter((note) => !editor.mixOf(note[2]).hidden));
    if (behind && !event.shiftKey) {
      editor.activate(behind[2]);
      return holding(roll, { ...point, note: behind }, event);
    }
    return choosing(roll, point, event);
  }
  return drawing(roll, point);
}

/** On the ruler: a click goes there, a drag chooses bars. */
function ranging(roll, from) {
  const at = (point) => barAt(roll.bars, point.tick);
  let moved = false;
  return {
    move: (point) => {
      moved ||= Math.abs(point.x - from.x) > STILL;
      if (moved) roll.setRange({ first: Math.min(at(from), at(point)), last: Math.max(at(from), at(point)) });
    },
    end: (point) => {
      if (moved) return;
      roll.setRange(null);
      roll.ports.seek(roll.snapped(point.tick, true));
    },
  };
}

/** Remove the notes that are touched. */
function erasing(roll, from) {
  const { editor } = roll;
  const before = editor.piece;
  const touch = ({ note }) => note && editor.preview({ ...editor.piece, notes: editor.piece.notes.filter((one) => one !== note) }, new Set());
  touch(from);
  return { move: touch, end: () => editor.settle(before), cancel: () => editor.preview(before) };
}

/** Hold a note: move it, or its end. */
function holding(roll, from, event) {
  const { editor } = roll;
  const { note } = from;
  if (event.shiftKey) {
    const chosen = new Set(editor.selection);
    if (!chosen.delete(note)) chosen.add(note);
    editor.select(chosen);
    return {};
  }
  if (!editor.selection.has(note)) editor.select([note]);
  roll.ports.audition(note[0], note[1]);
  if (roll.tool === "scroll" && event.pointerType === "touch") return { native: true };
  const before = { piece: editor.piece, selection: editor.selection };
  const resize = onEdge(roll, note, from.x);
  let pitch = note[0];
  return {
    move: (point) => {
      if (Math.hypot(point.x - from.x, point.y - from.y) < STILL && editor.piece === before.piece) return;
      if (resize) {
        const end = roll.snapped(point.tick, true);
        editor.preview(...editor.lengthened(end - note[4], roll.step, before));
        return;
      }
      const start = roll.snapped(Math.max(0, note[3] + point.tick - from.tick), true);
      const up = roll.pitchAt(point.y) - from.pitch;
      editor.preview(...editor.moved(start - note[3], up, before));
      if (note[0] + up !== pitch) roll.ports.audition((pitch = note[0] + up), note[1]);
    },
    end: () => {
      const [one] = editor.selection;
      if (resize && one) roll.length = (one[4] - one[3]) / editor.piece.resolution;
      editor.settle(before.piece);
    },
    cancel: () => editor.preview(before.piece, before.selection),
  };
}

/** A drag with the mouse scrolls, a finger does so by itself. */
function panning(roll, from, event) {
  if (event.pointerType === "touch") return { native: true, end: () => roll.editor.select([]) };
  const { box } = roll;
  const start = [box.scrollLeft, box.scrollTop];
  return {
    move: (point) => box.scrollTo(start[0] - point.x + from.x, start[1] - point.y + from.y),
    end: (point) => Math.hypot(point.x - from.x, point.y - from.y) < STILL && roll.editor.select([]),
  };
}

/** Choose the notes in a frame. */
function choosing(roll, from, event) {
  const { editor } = roll;
  const chosen = event.shiftKey ? [...editor.selection] : [];
  editor.select(chosen);
  const close = () => {
    roll.marquee = null;
    roll.draw();
  };
  return {
    move: (point) => {
      const frame = { from: from.tick, to: point.tick, high: from.pitch, low: point.pitch };
      roll.marquee = frame;
      const [begin, end] = [Math.min(frame.from, frame.to), Math.max(frame.from, frame.to)];
      const [low, high] = [Math.min(frame.low, frame.high), Math.max(frame.low, frame.high)];
      const inside = editor.own.filter((note) => note[0] >= low && note[0] <= high && note[3] < end && note[4] > begin);
      editor.select([...chosen, ...inside]);
    },
    end: close,
    cancel: close,
  };
}

/** Draw a note, as long as the pointer is drawn. */
function drawing(roll, from) {
  const { editor } = roll;
  const before = editor.piece;
  const start = roll.snapped(from.tick);
  const put = (end) => {
    const note = [from.pitch, 96, editor.active, start, Math.max(start + roll.step, end)];
    roll.drawn = note;
    editor.preview({ ...before, notes: [...before.notes, note] }, new Set([note]));
  };
  put(start + Math.round(roll.length * before.resolution));
  roll.ports.audition(from.pitch, 96);
  let moved = false;
  return {
    move: (point) => {
      moved ||= Math.abs(point.x - from.x) > STILL;
      if (moved) put(roll.snapped(point.tick, true));
    },
    end: () => {
      if (moved) roll.length = (roll.drawn[4] - start) / before.resolution;
      editor.settle(before);
      roll.ports.say(`drawn: ${roll.describe(roll.drawn)}`);
    },
    cancel: () => editor.preview(before, new Set()),
  };
}
