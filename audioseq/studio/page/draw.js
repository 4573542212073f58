// Colours of a spectrogram, from silence to the loudest: matplotlib's "magma" at five places.
const MAGMA = [
  [0, 0, 4],
  [81, 18, 124],
  [183, 55, 121],
  [252, 137, 97],
  [252, 253, 191],
];

/** 256 colours as RGB. */
export const palette = Array.from({ length: 256 }, (_, i) => {
  const at = (i / 255) * (MAGMA.length - 1);
  const low = Math.min(MAGMA.length - 2, Math.floor(at));
  return MAGMA[low].map((value, c) => Math.round(value + (MAGMA[low + 1][c] - value) * (at - low)));
});

/** Bytes out of base64. */
export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** A canvas at the resolution of the screen; gives its context, width and height in CSS pixels. */
export function fitted(canvas, height) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth || canvas.parentElement.clientWidth;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

/** An image of frames, a byte each, `(time, bands)`, the lowest band at the bottom. */
export function imageOf(bytes, bands) {
  const columns = Math.max(1, Math.floor(bytes.length / bands));
  const image = new ImageData(columns, bands);
  for (let t = 0; t < Math.floor(bytes.length / bands); t++) {
    for (let b = 0; b < bands; b++) {
      const [red, green, blue] = palette[bytes[t * bands + b]];
      image.data.set([red, green, blue, 255], 4 * ((bands - 1 - b) * columns + t));
    }
  }
  const canvas = new OffscreenCanvas(columns, bands);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** A square matrix of numbers from 0 to 1 as a picture. */
export function drawMatrix(canvas, matrix, height) {
  const { context, width } = fitted(canvas, height);
  const most = Math.max(...matrix.flat(), 1e-9);
  const bytes = new Uint8Array(matrix.length * matrix.length);
  // time to the right is the frame that was read, downwards the moment at which the state stands
  matrix.forEach((row, t) => row.forEach((value, s) => (bytes[s * matrix.length + (matrix.length - 1 - t)] = 255 * (value / most))));
  context.imageSmoothingEnabled = false;
  context.clearRect(0, 0, width, height);
  context.drawImage(imageOf(bytes, matrix.length), 0, 0, width, height);
}
