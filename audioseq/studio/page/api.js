// The token came with the address; other tabs of this page have it from there too.
const token = new URLSearchParams(location.search).get("token") ?? "";

/** The error of an answer, in the server's words. */
async function reason(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `the server answered ${response.status}`;
  }
}

/** Ask the server; throws an Error that can be shown. */
async function ask(method, path, { body, type, signal } = {}) {
  const headers = { "X-Audioseq-Token": token };
  if (type) headers["Content-Type"] = type;
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The studio does not answer. Is `audioseq studio` still running in its terminal?");
  }
  if (!response.ok) throw new Error(await reason(response));
  return response;
}

const json = (value) => ({ body: JSON.stringify(value), type: "application/json" });

export const api = {
  get: async (path) => (await ask("GET", path)).json(),
  post: async (path, value, { signal } = {}) => (await ask("POST", path, { ...json(value), signal })).json(),
  remove: async (path) => (await ask("DELETE", path)).json(),
  upload: async (path, blob, { signal } = {}) =>
    (await ask("POST", path, { body: blob, type: "application/octet-stream", signal })).json(),
  blob: async (path, value) => (await (value === undefined ? ask("GET", path) : ask("POST", path, json(value)))).blob(),
};

/** The address of the stream of a microphone. */
export function listenAddress() {
  return `ws://${location.host}/api/listen?token=${encodeURIComponent(token)}`;
}
