// The network, off the page's own thread. A classic worker: LiteRT.js loads its WebAssembly by importScripts.
let about;
let litert;
let model;
let states;
let waiting = Promise.resolve();

const here = (name) => new URL(name, self.location.href).href;

async function load() {
  about = await (await fetch(here("model.json"))).json();
  litert = await import(here("litert/core.js"));
  self.Module = { locateFile: (name) => here(`litert/${name}`) }; // else beside this file
  await litert.loadLiteRt(here("litert/"));
  model = await litert.loadAndCompile(here("model.tflite"), { accelerator: "wasm" });
  await reset();
  postMessage({ type: "ready", about });
}

/** One block of samples to a row of scores; the states go from call to call. */
async function step(block) {
  const inputs = { samples: new litert.Tensor(block, [1, about.block]) };
  for (const [name, shape] of Object.entries(about.states)) inputs[name] = new litert.Tensor(states[name], [1, ...shape]);
  const outputs = await model.run(inputs);
  for (const name of Object.keys(about.states)) states[name] = outputs[`${name}_next`].toTypedArray().slice();
  const scores = Array.from(outputs.scores.toTypedArray());
  for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
  return scores;
}

/** As before the first sample: after silence, of which nothing older is remembered. */
async function reset() {
  states = {};
  for (const [name, shape] of Object.entries(about.states)) {
    states[name] = new Float32Array(shape.reduce((product, size) => product * size, 1));
  }
  for (let at = 0; at < about.silence; at += about.block) await step(new Float32Array(about.block));
}

/** Whole blocks, one after another. */
async function run({ samples, id }) {
  const rows = [];
  const times = [];
  for (let at = 0; at + about.block <= samples.length; at += about.block) {
    const began = performance.now();
    rows.push(await step(samples.slice(at, at + about.block)));
    times.push(performance.now() - began);
  }
  postMessage({ type: "scores", rows, times, id });
}

self.onmessage = ({ data }) => {
  const what = { load, reset, run: () => run(data) }[data.type];
  waiting = waiting.then(what).catch((error) => postMessage({ type: "error", error: String(error.message ?? error) }));
};
