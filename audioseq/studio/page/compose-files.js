import { isPiece } from "./compose-piece.js";
import { download, h, takesFiles } from "./dom.js";

const PLACE = "audioseq.piece";
let waiting = 0;

/** The piece that was there last time, or nothing. */
export function kept() {
  try {
    const piece = JSON.parse(localStorage.getItem(PLACE));
    return isPiece(piece) ? piece : null;
  } catch {
    return null;
  }
}

/** Keep the piece in the browser, a moment after its last change. */
export function keep(piece) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    try {
      localStorage.setItem(PLACE, JSON.stringify(piece));
    } catch {
      // a browser that keeps nothing, or a piece too large for it: it lives as long as the page
    }
  }, 250);
}

/** Buttons that open and save files; files can be dropped on the whole view. */
export function filesOf(zone, editor, { api, toast }, open) {
  const input = h("input", { type: "file", accept: ".mid,.midi,audio/midi", class: "sr-only", "aria-label": "Open a .mid file", dataset: { test: "open-midi" } });
  const saves = ["mid", "wav", "png"].map((kind) =>
    h("button", { class: "button small", "aria-label": `Download as .${kind}`, dataset: { test: `save-${kind}` }, onclick: (event) => save(kind, event.currentTarget) }, `.${kind}`),
  );
  const fresh = h("button", { class: "button small", dataset: { test: "clear" }, onclick: () => open(null) }, "Clear");
  const row = h("div", { class: "row tight files", role: "group", "aria-label": "Files" }, fresh, h("label", { class: "button small file" }, "Open", input), ...saves);
  takesFiles(zone, input, read);

  async function read(file) {
    try {
      const { piece, lost } = await api.upload("/api/compose/read", file);
      open(piece);
      const gone = Object.entries(lost ?? {}).filter(([, count]) => count).map(([what, count]) => `${count} ${what}`);
      toast(`${file.name}: ${piece.notes.length} notes${gone.length ? `; left out: ${gone.join(", ")}` : ""}`);
    } catch (error) {
      toast(`${file.name}: ${error.message}`, "error");
    }
  }

  async function save(kind, button) {
    button.disabled = true;
    try {
      download(await api.blob(`/api/compose/${kind === "mid" ? "midi" : kind}`, editor.piece), `piece.${kind}`);
    } catch (error) {
      toast(error.message, "error");
    } finally {
      button.disabled = false;
    }
  }

  const enable = (on) => {
    for (const button of saves) button.disabled = !on;
  };
  return { row, enable };
}
