import { api } from "./api.js";
import { h } from "./dom.js";

const views = { listen: "./listen.js", teach: "./teach.js", compose: "./compose.js", transcribe: "./transcribe.js" };
const mounted = {};
const shelf = { models: [], choices: { instruments: [], patterns: [], keys: [] } };
const watchers = new Set();
const status = document.getElementById("status");

/** A line in the corner that goes by itself. */
function toast(text, kind = "info") {
  const box = document.getElementById("toasts");
  const shown = [...box.children].find((one) => one.textContent === text);
  shown?.remove();
  const made = h("div", { class: `toast ${kind}` }, text);
  box.append(made);
  setTimeout(() => made.remove(), kind === "error" ? 9000 : 4000);
}

const context = {
  api,
  toast,
  get choices() {
    return shelf.choices;
  },
  models: () => shelf.models,
  /** Call when the list of models changes, and now. */
  onModels(watcher) {
    watchers.add(watcher);
    watcher(shelf.models);
  },
  refresh,
  show,
};

/** The list of models; asks again while some are being loaded. */
async function refresh() {
  try {
    const found = await api.get("/api/models");
    shelf.models = found.models;
    const loading = found.models.filter((one) => one.state === "loading");
    const failed = found.models.filter((one) => one.state === "failed");
    status.textContent = loading.length ? `loading ${loading[0].id}` : `version ${found.version}, on this machine alone`;
    for (const one of failed) {
      if (!one.shown) toast(`${one.id}: ${one.error}`, "error");
    }
    for (const watcher of watchers) watcher(shelf.models);
    if (loading.length) setTimeout(refresh, 700);
  } catch (error) {
    status.textContent = error.message;
    setTimeout(refresh, 2000);
  }
}

/** Switch to a view, loading it when it is first shown; gives what it offers. */
async function show(name, { focus = false } = {}) {
  for (const key of Object.keys(views)) {
    const on = key === name;
    const tab = document.getElementById(`tab-${key}`);
    if (document.getElementById(key).hidden === on) mounted[key]?.[on ? "shown" : "hidden"]?.();
    document.getElementById(key).hidden = !on;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    if (on && focus) tab.focus();
  }
  history.replaceState(null, "", `${location.pathname}${location.search}#${name}`);
  if (!(name in mounted)) {
    mounted[name] = null;
    try {
      const { mount } = await import(views[name]);
      mounted[name] = await mount(document.getElementById(name), context);
    } catch (error) {
      delete mounted[name];
      toast(error.message, "error");
      throw error;
    }
  }
  return mounted[name];
}

const names = Object.keys(views);
for (const [at, name] of names.entries()) {
  const tab = document.getElementById(`tab-${name}`);
  tab.addEventListener("click", () => show(name));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(names[(at + step + names.length) % names.length], { focus: true });
  });
}

try {
  shelf.choices = await api.get("/api/choices");
} catch (error) {
  toast(error.message, "error");
}
const asked = location.hash.slice(1);
await show(asked in views ? asked : "listen");
refresh();
