// Samples of the microphone in blocks, posted to the page.
const BLOCK = 2048;

class Blocks extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.held = 0;
  }

  process([input]) {
    const channel = input[0];
    if (!channel) return true;
    for (let at = 0; at < channel.length; ) {
      const n = Math.min(BLOCK - this.held, channel.length - at);
      this.block.set(channel.subarray(at, at + n), this.held);
      this.held += n;
      at += n;
      if (this.held === BLOCK) {
        this.port.postMessage(this.block, [this.block.buffer]);
        this.block = new Float32Array(BLOCK);
        this.held = 0;
      }
    }
    return true;
  }
}

registerProcessor("blocks", Blocks);
