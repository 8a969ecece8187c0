"use strict";
/* Pixels of the viewer: decoding the two planes, exposure, error maps. No user interface here. */

const CURVE = Math.log1p(report.mu);
/** Linear radiance of every mu-law code. */
const LINEAR = Float64Array.from({ length: report.levels + 1 }, (_, code) => Math.expm1((code / report.levels) * CURVE) / report.mu);

async function readPlane(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = el("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** Read one image of a scene: mu-law codes for HDR, bytes for the others, three values per pixel. */
async function readImage(info, element) {
  const high = await readPlane(element.src);
  const low = info.kind === "hdr" ? await readPlane(element.dataset.low) : null;
  const count = high.width * high.height;
  const codes = new Uint16Array(count * 3);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) codes[3 * i + c] = low ? high.data[4 * i + c] * 16 + (low.data[4 * i + c] >> 4) : high.data[4 * i + c];
  }
  return { ...info, width: high.width, height: high.height, codes, canvas: el("canvas", { width: high.width, height: high.height }), painted: null };
}

const expose = (linear, ev) => 255 * Math.min(1, linear * 2 ** ev) ** (1 / 2.2);

/** What each code looks like under the settings {mode, ev, same}. */
function displayTable(image, settings) {
  if (image.kind === "hdr") {
    const show = settings.mode === "mu" ? (code) => (255 * code) / report.levels : (code) => expose(LINEAR[code], settings.ev);
    return Uint8ClampedArray.from({ length: report.levels + 1 }, (_, code) => show(code));
  }
  const linear = (value) => (value / 255) ** 2.2 / image.exposure_time;
  const again = image.kind === "ldr" && settings.mode === "exposure" && settings.same && image.exposure_time > 0;
  return Uint8ClampedArray.from({ length: 256 }, (_, value) => (again ? expose(linear(value), settings.ev) : value));
}

/** Paint an image on its own canvas, unless it already shows these settings. */
function paint(image, settings) {
  const key = JSON.stringify(settings);
  if (image.painted === key) return image.canvas;
  const table = displayTable(image, settings);
  const data = new ImageData(image.width, image.height);
  for (let i = 0, j = 0; i < data.data.length; i += 4, j += 3) {
    for (let c = 0; c < 3; c++) data.data[i + c] = table[image.codes[j + c]];
    data.data[i + 3] = 255;
  }
  image.canvas.getContext("2d").putImageData(data, 0, 0);
  image.painted = key;
  return image.canvas;
}

/** |T(a) - T(b)| per pixel, averaged over the channels; T is the mu-law curve, so codes are enough. */
function errorAt(a, b, pixel) {
  let sum = 0;
  for (let c = 0; c < 3; c++) sum += Math.abs(a.codes[3 * pixel + c] - b.codes[3 * pixel + c]);
  return sum / 3 / report.levels;
}

const COLORS = Uint8Array.from(report.colormap.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

function paintError(target, a, b, limit) {
  const data = new ImageData(a.width, a.height);
  for (let i = 0; i < a.width * a.height; i++) {
    const color = 3 * Math.round(255 * Math.min(1, errorAt(a, b, i) / limit));
    for (let c = 0; c < 3; c++) data.data[4 * i + c] = COLORS[color + c];
    data.data[4 * i + 3] = 255;
  }
  target.getContext("2d").putImageData(data, 0, 0);
  return target;
}

/** The colours of the error map as a CSS gradient, for the legend. */
function errorGradient() {
  const stops = Array.from({ length: 17 }, (_, i) => COLORS.slice(3 * Math.round((i * 255) / 16), 3 * Math.round((i * 255) / 16) + 3));
  return `linear-gradient(to right, ${stops.map((rgb) => `rgb(${rgb.join(" ")})`).join(", ")})`;
}

/** Values of a pixel, in words. */
function describe(image, pixel) {
  const codes = [...image.codes.subarray(3 * pixel, 3 * pixel + 3)];
  if (image.kind === "hdr") {
    const linear = codes.map((code) => LINEAR[code].toPrecision(4));
    return `linear ${linear.join(" ")}   μ-law ${codes.map((code) => (code / report.levels).toFixed(4)).join(" ")}`;
  }
  return `8-bit ${codes.join(" ")}`;
}
