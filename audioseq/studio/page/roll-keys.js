const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** What a key does in the roll. */
export function onKey(roll, event) {
  const { editor } = roll;
  const step = STEPS[event.key];
  const command = event.ctrlKey || event.metaKey;
  if (command) {
    if (!commanded(roll, event.key.toLowerCase())) return;
  } else if (step) {
    const [right, up] = [step[0], step[1] * (event.shiftKey ? 12 : 1)];
    if (editor.selection.size) shift(roll, right, up);
    else wander(roll, right, up);
  } else if (!pressed(roll, event.key)) return;
  event.preventDefault();
  event.stopPropagation();
}

/** Keys with Ctrl; gives whether there is one. */
function commanded(roll, key) {
  const { editor } = roll;
  if (key === "a") {
    editor.select(editor.own);
    roll.ports.say(`${editor.selection.size} notes selected`);
  } else if (key === "c" || key === "x") {
    editor.copy();
    roll.ports.say(`${editor.clipboard.length} notes copied`);
    if (key === "x") editor.remove();
  } else if (key === "v") {
    roll.cursor.tick = editor.paste(roll.cursor.tick);
    roll.reveal();
  } else return false;
  return true;
}

/** Keys alone; gives whether there is one. */
function pressed(roll, key) {
  const { editor, cursor } = roll;
  const under = roll.noteAt(cursor.tick, cursor.pitch);
  if (key === "Delete" || key === "Backspace") {
    roll.ports.say(`${editor.selection.size} notes removed`);
    editor.remove();
  } else if (key === "Enter") {
    if (under) {
      editor.select([under]);
      editor.remove();
      roll.ports.say(`removed: ${roll.describe(under)}`);
    } else put(roll);
  } else if (key === "Escape") {
    editor.select([]);
    roll.setRange(null);
  } else if (key.toLowerCase() === "s" && under) {
    const chosen = new Set(editor.selection);
    if (!chosen.delete(under)) chosen.add(under);
    editor.select(chosen);
    roll.ports.say(`${chosen.size} notes selected`);
  } else if (key === "[" || key === "]") lengthen(roll, key === "]" ? 1 : -1);
  else if (key === "Home") {
    cursor.tick = 0;
    wander(roll, 0, 0);
  } else if (key.toLowerCase() === "b") markBar(roll);
  else if (key === "+" || key === "=") roll.zoomBy(1, cursor.tick);
  else if (key === "-") roll.zoomBy(-1, cursor.tick);
  else return false;
  return true;
}

/** Put a note at the cursor; it is not chosen, so that the arrows go on. */
function put(roll) {
  const { editor, cursor } = roll;
  const note = [cursor.pitch, 96, editor.active, cursor.tick, cursor.tick + Math.round(roll.length * editor.piece.resolution)];
  editor.add([note]);
  editor.select([]);
  roll.ports.audition(note[0], note[1]);
  roll.ports.say(`drawn: ${roll.describe(note)}`);
}

/** Move the cursor, and say what is there. */
function wander(roll, right, up) {
  const { cursor } = roll;
  const tick = Math.max(0, cursor.tick + right * roll.step);
  cursor.tick = right > 0 ? roll.snapped(tick) : roll.snapped(tick, true);
  cursor.pitch = Math.max(0, Math.min(127, cursor.pitch + up));
  roll.fit();
  roll.reveal();
  const under = roll.noteAt(cursor.tick, cursor.pitch);
  const empty = [cursor.pitch, 96, 0, cursor.tick, cursor.tick + Math.round(roll.length * roll.editor.piece.resolution)];
  roll.ports.say(under ? `on a note: ${roll.describe(under)}` : roll.describe(empty));
}

/** Move the chosen notes. */
function shift(roll, right, up) {
  const { editor } = roll;
  editor.commit(...editor.moved(right * roll.step, up));
  const [first] = editor.selection;
  roll.ports.say(`${editor.selection.size > 1 ? `${editor.selection.size} notes, the first ` : ""}${roll.describe(first)}`);
  if (up) roll.ports.audition(first[0], first[1]);
}

/** Make the chosen notes, or those that will be drawn, longer or shorter. */
function lengthen(roll, by) {
  const { editor } = roll;
  if (editor.selection.size) {
    editor.commit(...editor.lengthened(by * roll.step, roll.step));
    roll.ports.say(roll.describe([...editor.selection][0]));
    return;
  }
  roll.length = Math.max(roll.snap, roll.length + by * roll.snap);
  wander(roll, 0, 0);
}

/** Choose the bar of the cursor, or bars up to it. */
function markBar(roll) {
  const at = roll.bars.findIndex((bar) => bar.tick <= roll.cursor.tick && roll.cursor.tick < bar.end);
  const { range } = roll;
  roll.setRange(range ? { first: Math.min(range.first, at), last: Math.max(range.last, at) } : { first: at, last: at });
  roll.ports.say(`bars ${roll.range.first + 1} to ${roll.range.last + 1} selected`);
}
