import { Editor } from "./compose-editor.js";
import { filesOf, keep, kept } from "./compose-files.js";
import { Maker, secondsOf } from "./compose-make.js";
import { Memory } from "./compose-memory.js";
import { emptyPiece, placeOf, secondsAt, smallTune, tempoOf, tickAt, withTempo } from "./compose-piece.js";
import { tracksPanel } from "./compose-tracks.js";
import { clock, field, h } from "./dom.js";
import { icon } from "./compose-icons.js";
import { Player } from "./player.js";
import { Roll } from "./roll.js";

const SNAPS = [
  ["1/4", 1],
  ["1/8", 1 / 2],
  ["1/8 triplet", 1 / 3],
  ["1/16", 1 / 4],
];
const TOOLS = { draw: "Draw", select: "Select", erase: "Erase", scroll: "Scroll" };
const KEYS_HELP = [
  ["Space", "play, pause"],
  ["Arrows", "move the cursor, or what is selected (Shift: an octave)"],
  ["Enter", "draw a note at the cursor, or remove it"],
  ["S", "select the note at the cursor; Shift and click with the mouse"],
  ["[ and ]", "shorter, longer"],
  ["B", "select the bar of the cursor, for fill and loop"],
  ["Delete, Esc", "remove, select nothing"],
  ["Ctrl A C X V", "select all, copy, cut, paste at the cursor"],
  ["Ctrl Z, Ctrl Shift Z", "undo, redo"],
  ["+ and −", "zoom"],
];

/** The view in which pieces are written. */
export function mount(root, ctx) {
  const { toast } = ctx;
  root.classList.add("compose");
  const editor = new Editor();
  const stored = kept();
  if (stored) editor.piece = stored;
  const player = new Player(ctx.api);
  const live = h("p", { class: "small muted roll-say", role: "status", "aria-live": "polite", dataset: { test: "say" } }, "");
  const source = { get piece() { return editor.piece; }, audible: (track) => editor.audible(track) }; // prettier-ignore
  const roll = new Roll(editor, {
    audition: (pitch, velocity) => player.audition(pitch, velocity, editor.piece.tracks[editor.active]).catch((error) => toast(error.message, "error")),
    seek: (tick) => seek(tick),
    ranged: () => ranged(),
    say: (text) => (live.textContent = text),
  });
  const view = { editor, roll, player, listen: (one) => listen(one), taken: (piece) => open(piece), busy: (on) => (ideas.disabled = on) };
  const maker = new Maker(view, ctx);
  const memory = new Memory(roll, ctx);
  const files = filesOf(root, editor, ctx, open);

  const play = h("button", { class: "button primary play", dataset: { test: "play" }, onclick: toggle }, icon("play"), icon("pause"));
  const stop = iconButton("stop", "Stop", halt, "stop");
  const loop = iconButton("loop", "Loop the selected bars", () => press(loop, ranged), "loop");
  const beat = iconButton("metronome", "Metronome", () => press(beat, (on) => (player.metronome = on)), "metronome");
  for (const one of [loop, beat]) one.setAttribute("aria-pressed", "false");
  const place = h("output", { class: "place", "aria-label": "place", dataset: { test: "place" } });
  const level = h("i", {});
  const tempo = h("input", { type: "number", min: 20, max: 300, step: 1, onchange: () => editor.commit(withTempo(editor.piece, Math.max(20, Math.min(300, Number(tempo.value) || 100)))) });
  const volume = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: player.volume, oninput: () => player.setVolume(Number(volume.value)) });
  const undo = iconButton("undo", "Undo", () => editor.undo(), "undo");
  const redo = iconButton("redo", "Redo", () => editor.redo(), "redo");
  const transport = h(
    "div",
    { class: "panel row transport", role: "group", "aria-label": "Player" },
    h("div", { class: "row tight" }, play, stop, loop, beat),
    place,
    h("div", { class: "meter", "aria-hidden": "true" }, level),
    h("label", { class: "inline" }, "Tempo", tempo),
    h("label", { class: "inline volume" }, "Volume", volume),
    h("div", { class: "row tight ends" }, undo, redo),
    files.row,
  );

  const tools = Object.entries(TOOLS).map(([tool, word]) => h("button", { class: "chip", dataset: { test: `tool-${tool}` }, onclick: () => choose(tool) }, word));
  const snap = h("select", { onchange: () => ((roll.snap = Number(snap.value)), roll.draw()) }, ...SNAPS.map(([name, value]) => h("option", { value, selected: value === roll.snap }, name)));
  let before = null;
  const velocity = h("input", { type: "range", min: 1, max: 127, value: 96, dataset: { test: "velocity" }, oninput: louder, onchange: settle });
  const count = h("output", { class: "muted small number", dataset: { test: "note-count" } });
  const small = (word, test, onclick) => h("button", { class: "button small", dataset: { test }, onclick }, word);
  const edit = [small("All", "select-all", () => editor.select(editor.own)), small("Copy", "copy", () => editor.copy()), small("Paste", "paste", paste), small("Delete", "delete", () => editor.remove())];
  const bar = h(
    "div",
    { class: "row roll-bar" },
    h("div", { class: "chips", role: "group", "aria-label": "Tool" }, ...tools),
    h("label", { class: "inline" }, "Grid", snap),
    h("label", { class: "inline velocity" }, "Velocity", velocity),
    h("div", { class: "row tight", role: "group", "aria-label": "Selection" }, ...edit),
  );
  const zoom = h("div", { class: "row tight" }, iconButton("minus", "Zoom out", () => roll.zoomBy(-1), "zoom-out"), iconButton("plus", "Zoom in", () => roll.zoomBy(1), "zoom-in"));
  const ideas = h("button", { class: "button primary", dataset: { test: "ideas" }, onclick: () => (maker.choose("new"), maker.make()) }, "Four ideas");
  const hint = h(
    "div",
    { class: "hint" },
    h("h2", {}, "Nothing here yet"),
    h("p", { class: "muted" }, "Draw a note, drop a .mid file, or let the network begin."),
    h("div", { class: "row" }, ideas, h("button", { class: "button", dataset: { test: "tune" }, onclick: () => open(smallTune()) }, "A small tune")),
  );
  const help = h("details", { class: "small keys-help" }, h("summary", {}, "Keys"), h("dl", { id: "roll-keys" }, ...KEYS_HELP.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)])));
  const desk = h("section", { class: "panel desk", "aria-label": "Piano roll" }, bar, h("div", { class: "roll-frame" }, roll.box, hint), h("div", { class: "row roll-foot" }, live, count, zoom, memory.button), help);
  root.append(transport, desk, h("div", { class: "side" }, tracksPanel(editor, ctx), maker.panel), h("div", { class: "made" }, maker.shelf, memory.panel));

  editor.addEventListener("piece", changed);
  editor.addEventListener("look", looked);
  player.addEventListener("change", played);
  document.addEventListener("keydown", shortcut);
  choose(roll.tool);
  changed();
  played();
  requestAnimationFrame(() => roll.home());

  /** A button with a picture. */
  function iconButton(name, words, onclick, test) {
    return h("button", { class: "button icon", title: words, "aria-label": words, dataset: { test }, onclick }, icon(name));
  }

  /** Switch a button that stays pressed. */
  function press(button, then) {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    then(on);
  }

  /** Choose a tool. */
  function choose(tool) {
    roll.setTool(tool);
    for (const [at, button] of tools.entries()) button.setAttribute("aria-pressed", String(Object.keys(TOOLS)[at] === tool));
  }

  /** Play a source, or stop it. */
  function listen(one) {
    if (player.playing && player.source === one) return player.stop();
    player.loop = one === source ? looped() : null;
    // a suggestion from its first note, which may come late in the bar
    const from = one === source ? startOf() : secondsAt(one.piece, Math.min(...one.piece.notes.map((note) => note[3])));
    return player.play(one, from).catch((error) => toast(error.message, "error"));
  }

  /** Where the piece begins to play. */
  function startOf() {
    const at = secondsAt(editor.piece, roll.playhead);
    const [begin, end] = player.loop ?? [0, Infinity];
    return at >= begin && at < end ? at : begin;
  }

  /** Play or pause the piece. */
  function toggle() {
    if (player.playing && player.source === source) player.pause();
    else if (!editor.piece.notes.length) toast("There are no notes to play yet: draw some, or ask for four ideas.");
    else listen(source);
  }

  /** Stop, at the beginning. */
  function halt() {
    player.stop();
    roll.playhead = 0;
    roll.draw();
    tell();
  }

  /** Go to a tick. */
  function seek(tick) {
    roll.playhead = tick;
    if (player.playing && player.source === source) player.seek(secondsAt(editor.piece, tick));
    roll.draw();
    tell();
  }

  /** What is looped, in seconds. */
  function looped() {
    return loop.getAttribute("aria-pressed") === "true" && roll.range ? secondsOf(editor.piece, roll.bars, roll.range) : null;
  }

  /** The chosen bars changed, or whether they are looped. */
  function ranged() {
    if (player.source === source) player.loop = looped();
    maker.refresh();
  }

  /** The player began or stopped. */
  function played() {
    const on = player.playing && player.source === source;
    play.setAttribute("aria-label", on ? "Pause" : "Play");
    play.classList.toggle("on", on);
    if (player.playing) requestAnimationFrame(frame);
    else if (player.source === source && player.position === 0) roll.playhead = 0;
    if (!player.playing) level.style.transform = "scaleX(0)";
    roll.draw();
    tell();
  }

  /** While it plays: place, level, playhead. */
  function frame() {
    if (!player.playing) return;
    level.style.transform = `scaleX(${player.level})`;
    if (!root.hidden && player.source === source) {
      roll.follow(tickAt(editor.piece, player.position));
      tell();
    } else if (!root.hidden) maker.mark();
    requestAnimationFrame(frame);
  }

  /** Bar, beat and time. */
  function tell() {
    const { bar: at, beat: of } = placeOf(editor.piece, Math.round(roll.playhead));
    place.textContent = `${at}.${Math.floor(of)}  ${clock(secondsAt(editor.piece, roll.playhead))}`;
  }

  /** The piece changed. */
  function changed() {
    const { piece } = editor;
    undo.disabled = !editor.past.length;
    redo.disabled = !editor.future.length;
    hint.hidden = piece.notes.length > 0;
    if (document.activeElement !== tempo) tempo.value = tempoOf(piece);
    if (roll.halo) memory.off();
    files.enable(piece.notes.length > 0);
    memory.button.disabled = !piece.notes.length;
    keep(piece);
    if (roll.range) ranged();
    tell();
    looked();
  }

  /** What is chosen changed. */
  function looked() {
    const { piece, selection } = editor;
    const n = piece.notes.length;
    count.textContent = `${n} note${n === 1 ? "" : "s"}${selection.size ? `, ${selection.size} selected` : ""}`;
    velocity.disabled = !selection.size;
    edit[1].disabled = edit[3].disabled = !selection.size;
    edit[2].disabled = !editor.clipboard.length;
    if (selection.size && !before) velocity.value = Math.round([...selection].reduce((sum, note) => sum + note[1], 0) / selection.size);
  }

  /** Make what is chosen louder or softer, all by as much. */
  function louder() {
    if (!editor.selection.size) return;
    before ??= { piece: editor.piece, selection: editor.selection };
    const mean = [...before.selection].reduce((sum, note) => sum + note[1], 0) / before.selection.size;
    const by = Math.round(velocity.value - mean);
    editor.preview(...editor.changed(([pitch, loud, ...rest]) => [pitch, Math.max(1, Math.min(127, loud + by)), ...rest], before));
  }

  /** The slider was let go. */
  function settle() {
    if (before) editor.settle(before.piece);
    before = null;
  }

  /** Paste where the cursor is. */
  function paste() {
    roll.cursor.tick = editor.paste(roll.cursor.tick);
  }

  /** Put a piece into the roll, undoable. */
  function open(piece) {
    if (player.source !== source || player.playing) player.stop();
    editor.mix = [];
    editor.active = 0;
    roll.playhead = 0;
    roll.cursor = { tick: 0, pitch: 60 };
    roll.setRange(null);
    editor.commit(piece ?? emptyPiece());
    requestAnimationFrame(() => roll.home());
  }

  /** Keys that work wherever the focus is. */
  function shortcut(event) {
    if (root.hidden || event.defaultPrevented) return;
    const control = event.target.closest?.("input, select, textarea, button, summary, a, [role=tab]");
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y") && !event.target.matches?.("input[type=text], input[type=number]")) {
      event.preventDefault();
      if (key === "y" || event.shiftKey) editor.redo();
      else editor.undo();
    } else if (event.key === " " && !control) {
      event.preventDefault();
      toggle();
    }
  }

  return {
    open,
    shown: () =>
      requestAnimationFrame(() => {
        roll.fit();
        maker.refresh();
        maker.mark();
        played();
      }),
    hidden: () => {},
  };
}
