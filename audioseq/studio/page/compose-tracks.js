import { PROGRAMS, only } from "./compose-piece.js";
import { h } from "./dom.js";

const MOST = 128;

/** The list of tracks: name, instrument, what is heard and seen. */
export function tracksPanel(editor, { toast }) {
  const list = h("ul", { class: "tracks" });
  const add = h("button", { class: "button small", dataset: { test: "add-track" }, onclick: () => addTrack(editor) }, "Add track");
  const panel = h("section", { class: "panel stack", "aria-label": "Tracks" }, h("div", { class: "row shelf-top" }, h("h2", {}, "Tracks"), add), list);
  let drawn = "";
  const draw = () => {
    add.disabled = editor.piece.tracks.length >= MOST;
    const state = JSON.stringify([editor.piece.tracks, editor.active, editor.piece.tracks.map((_, at) => editor.mixOf(at))]);
    if (state === drawn) return;
    drawn = state;
    const held = document.activeElement?.closest?.("[data-part]")?.dataset.part;
    list.replaceChildren(...editor.piece.tracks.map((track, at) => row(editor, track, at, toast)));
    if (held && !list.contains(document.activeElement)) list.querySelector(`[data-part="${held}"]`)?.focus();
  };
  editor.addEventListener("piece", draw);
  editor.addEventListener("look", draw);
  draw();
  return panel;
}

/** A track more, of the active one's instrument. */
function addTrack(editor) {
  const { piece } = editor;
  const like = piece.tracks[editor.active] ?? { program: 0 };
  editor.commit({ ...piece, tracks: [...piece.tracks, { program: like.program, drum: false, name: `Track ${piece.tracks.length + 1}` }] });
  editor.activate(piece.tracks.length);
}

/** A track's line. */
function row(editor, track, at, toast) {
  const name = track.name || `track ${at + 1}`;
  const mix = editor.mixOf(at);
  const edit = (change) => editor.commit({ ...editor.piece, tracks: editor.piece.tracks.map((one, i) => (i === at ? { ...one, ...change } : one)) });
  const toggle = (key, letter, words) =>
    h("button", {
      class: "toggle",
      "aria-pressed": String(mix[key]),
      "aria-label": `${words} ${name}`,
      title: words,
      dataset: { part: `${key}-${at}` },
      onclick: () => {
        mix[key] = !mix[key];
        editor.fire("look");
      },
    }, letter); // prettier-ignore
  const title = h("input", { type: "text", class: "track-name", value: track.name, maxLength: 64, placeholder: name, "aria-label": `name of ${name}`, dataset: { part: `name-${at}` }, onchange: (event) => edit({ name: event.target.value }) });
  const remove = () => {
    if (editor.piece.tracks.length === 1) return toast("A piece has one track at least.");
    editor.mix.splice(at, 1);
    if (editor.active > at) editor.active--;
    return editor.commit(only(editor.piece, (_, i) => i !== at));
  };
  const swatch = h("button", {
    class: "swatch",
    "aria-pressed": String(at === editor.active),
    "aria-label": `edit ${name}`,
    title: "Edit this track",
    dataset: { part: `edit-${at}`, test: `track-${at}` },
    onclick: () => editor.activate(at),
  }); // prettier-ignore
  swatch.style.background = `var(--hue-${at % 8})`;
  return h(
    "li",
    { class: at === editor.active ? "track active" : "track", onclick: (event) => event.target.tagName === "LI" && editor.activate(at) },
    swatch,
    title,
    instrument(track, at, edit),
    h("div", { class: "track-mix" }, toggle("mute", "M", "Mute"), toggle("solo", "S", "Solo"), toggle("hidden", "H", "Hide"), h("button", { class: "toggle", "aria-label": `Remove ${name}`, title: "Remove", dataset: { part: `remove-${at}` }, onclick: remove }, "×")),
  );
}

/** A track's instrument. */
function instrument(track, at, edit) {
  const known = Object.values(PROGRAMS).includes(track.program) || track.drum;
  const options = Object.entries(PROGRAMS).map(([name, program]) => h("option", { value: program, selected: !track.drum && program === track.program }, name));
  return h(
    "select",
    {
      "aria-label": `instrument of ${track.name || `track ${at + 1}`}`,
      dataset: { part: `instrument-${at}` },
      onchange: ({ target }) => edit(target.value === "drums" ? { drum: true, program: 0 } : { drum: false, program: Number(target.value) }),
    },
    ...options,
    known ? null : h("option", { value: track.program, selected: true }, `program ${track.program + 1}`),
    h("option", { value: "drums", selected: track.drum }, "drum kit"),
  );
}
