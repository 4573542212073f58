/** What a refusal of the browser means, and what helps. */
function explained(error) {
  const help = {
    NotAllowedError: "The microphone is not allowed. Click the icon left of the address, allow it, and try again.",
    NotFoundError: "There is no microphone. Connect one, or drop a recording here.",
    NotReadableError: "The microphone is in use by another program.",
  };
  return new Error(help[error.name] ?? `The microphone cannot be opened: ${error.message}`);
}

/** Open the microphone; `onBlock` gets Float32Array blocks at `sampleRate`, by default the microphone's own. Gives
 * `{ sr, close }`; throws an Error that can be shown. */
export async function openMicrophone(onBlock, sampleRate) {
  if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) {
    throw new Error("This browser gives no samples of a microphone (AudioWorklet). A newer one does; files work here too.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    throw explained(error);
  }
  const context = new AudioContext({ sampleRate });
  await context.audioWorklet.addModule("worklet.js");
  const source = context.createMediaStreamSource(stream);
  const node = new AudioWorkletNode(context, "blocks", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  node.port.onmessage = (event) => onBlock(event.data);
  source.connect(node);
  await context.resume();
  return {
    sr: context.sampleRate,
    close() {
      node.port.onmessage = null;
      for (const track of stream.getTracks()) track.stop();
      context.close();
    },
  };
}

/** Samples as a .wav file of 16 bits. */
export function wavOf(blocks, sr) {
  const n = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * n));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * n, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sr, true);
  view.setUint32(28, 2 * sr, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * n, true);
  let at = 44;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(at, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
      at += 2;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}
