"use strict";
/* The viewer: one canvas on which the images of a scene change at the same place, zoom and exposure. */

const viewer = {
  scene: 0, images: [], shown: 0, other: null, subject: null, split: 0.5, limit: 0.25,
  settings: { mode: "mu", ev: 0, same: false }, zoom: 1, x: 0, y: 0, cursor: null, error: null,
};
const ui = {};

/* ---- building ---- */

function field(label, control) { return el("label", {}, label, control); }

function option(value, label) { return el("option", { value }, label); }

function buildControls() {
  ui.scene = el("select", {}, ...report.viewer.map((scene, index) => option(index, [scene.scene, scene.test, scene.run.includes(", ") ? null : scene.run].filter(Boolean).join(" · "))));
  ui.mode = el("select", { "aria-label": "Tone" }, option("mu", "μ-law"), option("exposure", "Exposure, γ 2.2"));
  ui.ev = el("input", { type: "range", min: -4, max: 8, step: 0.1, value: 0, "aria-label": "Exposure in EV" });
  ui.evText = el("output", {}, "0.0 EV");
  ui.same = el("input", { type: "checkbox" });
  ui.other = el("select", {});
  ui.subject = el("select", {});
  ui.limit = el("select", { "aria-label": "Full scale of the error map" }, ...[0.02, 0.05, 0.1, 0.25, 0.5].map((value) => option(value, `0 to ${value}`)));
  ui.limit.value = String(viewer.limit);
  const zoom = [["−", 1 / 1.5, "Zoom out"], ["+", 1.5, "Zoom in"], ["Fit", 0, "Fit"]].map(([text, factor, title]) =>
    el("button", { type: "button", title, "aria-label": title, onclick: () => zoomAt(factor, 0.5, 0.5) }, text));
  const steps = [["‹", -1, "Image before"], ["›", 1, "Image after"]].map(([text, by, title]) =>
    el("button", { type: "button", title, "aria-label": title, onclick: () => step(by) }, text));
  ui.errorBar = el("div", { class: "v-bar" }, field("Error of", ui.subject), field("scale", ui.limit), legend());
  return [
    el("div", { class: "v-bar" }, field("Scene", ui.scene), (ui.tone = el("span", { class: "v-tone" }, field("Tone", ui.mode), field("Exposure", ui.ev), ui.evText,
      (ui.sameField = field(ui.same, "LDR at the same exposure")))), field("Compare with", ui.other), ...zoom, ...steps),
    (ui.buttons = el("div", { class: "v-images", role: "group", "aria-label": "Image" })),
  ];
}

/** Group images whose labels share what stands before a colon, and shorten them by it: rows of [heading, [[image, label], …]]. */
function imageRows(images) {
  const parts = images.map((image) => /^(.+?): (.+)$/.exec(image.label) ?? [image.label, "", image.label]);
  const rows = new Map();
  images.forEach((image, i) => {
    const alone = parts.filter((part) => part[1] === parts[i][1]).length < 2;
    const head = alone ? "" : parts[i][1];
    rows.set(head, [...(rows.get(head) ?? []), [image, alone ? image.label : parts[i][2]]]);
  });
  return [...rows];
}

function buildButtons() {
  const button = ([image, label]) => {
    const i = viewer.images.indexOf(image);
    const whole = label === image.label ? null : image.label;
    return el("button", { type: "button", "data-key": image.key, "aria-label": whole, title: whole, onclick: () => choose(i) }, i < 9 ? el("kbd", {}, i + 1) : null, label);
  };
  const rows = imageRows(viewer.images).map(([head, items]) => el("div", { class: "v-row" }, head ? el("b", {}, head) : null, el("div", { class: "v-buttons" }, ...items.map(button))));
  ui.buttons.replaceChildren(...rows);
  ui.buttons.classList.toggle("many", viewer.images.length > 9);
}

/** Hide the controls that act on nothing: without HDR images, or LDR ones of known exposure, there is no exposure to choose. */
function hideIdleControls() {
  const timed = viewer.images.some((image) => image.kind === "ldr" && image.exposure_time > 0);
  viewer.tonal = timed || viewer.images.some((image) => image.kind === "hdr");
  ui.tone.hidden = !viewer.tonal;
  ui.sameField.hidden = !timed;
  const exposure = viewer.tonal ? "[ and ] the exposure, " : "";
  ui.help.textContent = `Keys 1 to 9 choose an image, comma and full stop the one before or after, ${exposure}+ and − the zoom, 0 fits. Click the image, then the wheel zooms; drag moves.`;
}

function legend() {
  const colors = el("i");
  colors.style.background = errorGradient();
  ui.limitText = el("span");
  return el("span", { class: "v-scale" }, "0", colors, ui.limitText);
}

function buildStage() {
  ui.canvas = el("canvas", { tabindex: "0", role: "img", "aria-label": "Image of the scene" });
  ui.left = el("span", { class: "v-label left" });
  ui.right = el("span", { class: "v-label right" });
  ui.stage = el("div", { class: "v-stage" }, ui.canvas, ui.left, ui.right);
  ui.split = el("input", { type: "range", class: "v-split", min: 0, max: 1000, value: 500, "aria-label": "Place of the dividing line" });
  ui.read = el("div", { class: "v-read" });
  ui.help = el("p", { class: "v-help" });
  return [ui.stage, ui.split, ui.errorBar, el("div", { class: "v-foot" }, ui.read, ui.help)];
}

/* ---- state ---- */

async function loadScene(index) {
  const info = report.viewer[index] ? index : 0;
  const figure = $(`.scene[data-scene="${info}"]`);
  const elements = $$("img", figure);
  const images = await Promise.all(report.viewer[info].images.map((image, i) => readImage(image, elements[i])));
  const size = images[0];
  // The prepared error map is replaced by one that is computed here, where the pair and the scale can be chosen.
  const hdr = images.filter((image) => image.kind === "hdr");
  viewer.reference = hdr.find((image) => image.key === "reference") ?? null;
  const subjects = hdr.filter((image) => image !== viewer.reference);
  viewer.subject = subjects.find((image) => image.key === "result") ?? subjects[0] ?? null;
  const computed = viewer.reference && viewer.subject;
  viewer.images = images.filter((image) => !(computed && image.key === "error"));
  if (computed) viewer.images.push({ key: "error", label: "Error map", kind: "error", width: size.width, height: size.height, canvas: el("canvas", { width: size.width, height: size.height }) });
  viewer.scene = info;
  ui.scene.value = String(info);
  ui.subject.replaceChildren(...subjects.map((image) => option(image.key, image.label)));
  if (viewer.subject) ui.subject.value = viewer.subject.key;
  const keep = viewer.other && viewer.images.some((image) => image.key === viewer.other) ? viewer.other : "";
  ui.other.replaceChildren(option("", "nothing"), ...viewer.images.map((image) => option(image.key, image.label)));
  viewer.other = ui.other.value = keep;
  buildButtons();
  hideIdleControls();
  fitStage();
}

function show(index) {
  if (!viewer.images[index]) return;
  viewer.shown = index;
  for (const button of $$("button", ui.buttons)) {
    const here = button.dataset.key === viewer.images[index].key;
    button.setAttribute("aria-pressed", String(here));
    const row = button.parentElement;
    if (here) row.scrollLeft = button.offsetLeft - (row.clientWidth - button.offsetWidth) / 2;
  }
  draw();
}

/** Show the image before or after the shown one, round and round. */
function step(by) { choose((viewer.shown + by + viewer.images.length) % viewer.images.length); }

/** Show an image because the reader asked for it, and keep that in the address. */
function choose(index) {
  show(index);
  remember("image", viewer.images[viewer.shown].key);
}

function setExposure(ev) {
  if (!viewer.tonal) return;
  viewer.settings.ev = Math.max(-4, Math.min(8, Math.round(ev * 10) / 10));
  viewer.settings.mode = ui.mode.value = "exposure";
  ui.ev.value = viewer.settings.ev;
  ui.evText.textContent = (viewer.settings.ev > 0 ? "+" : "") + viewer.settings.ev.toFixed(1).replace("-", "−") + " EV";
  remember("ev", String(viewer.settings.ev));
  draw();
}

function setMode(mode) {
  if (mode === "exposure") { setExposure(viewer.settings.ev); return; }
  viewer.settings.mode = "mu";
  remember("ev", null);
  draw();
}

/* ---- drawing ---- */

function fitStage() {
  const width = ui.stage.clientWidth;
  const image = viewer.images[0];
  if (!image || !width) return;
  const height = Math.min(Math.round((width * image.height) / image.width), Math.round(innerHeight * 0.64));
  ui.canvas.style.height = height + "px";
  ui.canvas.width = Math.round(width * devicePixelRatio);
  ui.canvas.height = Math.round(height * devicePixelRatio);
  zoomAt(0, 0.5, 0.5);
}

/** Scale and origin of the image on the canvas, in canvas pixels. */
function placement() {
  const image = viewer.images[viewer.shown];
  const scale = viewer.zoom * Math.min(ui.canvas.width / image.width, ui.canvas.height / image.height);
  return { scale, left: ui.canvas.width / 2 - viewer.x * scale * image.width, top: ui.canvas.height / 2 - viewer.y * scale * image.height };
}

function picture(image) {
  return image.kind === "error" ? paintError(image.canvas, viewer.subject, viewer.reference, viewer.limit) : paint(image, viewer.settings);
}

function drawImage(context, image, from, to) {
  const { scale, left, top } = placement();
  context.save();
  context.beginPath();
  context.rect(from, 0, to - from, ui.canvas.height);
  context.clip();
  context.imageSmoothingEnabled = scale < 2;
  context.drawImage(picture(image), left, top, image.width * scale, image.height * scale);
  context.restore();
}

function draw() {
  const image = viewer.images[viewer.shown];
  if (!image) return;
  const other = viewer.images.find((item) => item.key === viewer.other);
  const context = ui.canvas.getContext("2d");
  context.clearRect(0, 0, ui.canvas.width, ui.canvas.height);
  const line = other ? viewer.split * ui.canvas.width : ui.canvas.width;
  drawImage(context, image, 0, line);
  if (other) {
    drawImage(context, other, line, ui.canvas.width);
    context.fillStyle = "#fff";
    context.fillRect(line - devicePixelRatio, 0, 2 * devicePixelRatio, ui.canvas.height);
  }
  ui.left.textContent = image.label;
  ui.right.textContent = other ? other.label : "";
  ui.right.hidden = ui.split.hidden = !other;
  ui.errorBar.hidden = image.kind !== "error" && other?.kind !== "error";
  ui.limitText.textContent = `${viewer.limit} of the μ-law range`;
  ui.stage.classList.toggle("zoomed", viewer.zoom > 1);
  ui.canvas.setAttribute("aria-label", image.label + (other ? ` beside ${other.label}` : ""));
  readOut();
}

function readOut() {
  const image = viewer.images[viewer.shown];
  if (!viewer.cursor) { ui.read.textContent = "Point at the image to read its pixels."; return; }
  const { x, y } = viewer.cursor;
  const lines = [image, viewer.images.find((item) => item.key === viewer.other)].filter(Boolean).map((item) => {
    const at = y * item.width + x;
    const value = item.kind === "error" ? `|ΔT| ${errorAt(viewer.subject, viewer.reference, at).toFixed(4)}` : describe(item, at);
    return `${item.label}: ${value}`;
  });
  ui.read.textContent = `x ${x}  y ${y}\n${lines.join("\n")}`;
}

/* ---- pointer and keys ---- */

/** Change the zoom by a factor around a point of the stage (0 to 1); factor 0 fits the image. */
function zoomAt(factor, u, v) {
  const image = viewer.images[viewer.shown] ?? viewer.images[0];
  if (!image) return;
  if (factor) {
    const before = placement();
    const px = (u * ui.canvas.width - before.left) / before.scale / image.width;
    const py = (v * ui.canvas.height - before.top) / before.scale / image.height;
    viewer.zoom = Math.max(1, Math.min(64, viewer.zoom * factor));
    const { scale } = placement();
    viewer.x = px - ((u - 0.5) * ui.canvas.width) / scale / image.width;
    viewer.y = py - ((v - 0.5) * ui.canvas.height) / scale / image.height;
  }
  if (!factor || viewer.zoom === 1) Object.assign(viewer, { zoom: 1, x: 0.5, y: 0.5 });
  draw();
}

const place = (event) => {
  const box = ui.canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};

function moveCursor(event) {
  const image = viewer.images[viewer.shown];
  const [u, v] = place(event);
  const { scale, left, top } = placement();
  const x = Math.floor((u * ui.canvas.width - left) / scale);
  const y = Math.floor((v * ui.canvas.height - top) / scale);
  viewer.cursor = x >= 0 && y >= 0 && x < image.width && y < image.height ? { x, y } : null;
  readOut();
}

function setUpPointer() {
  let drag = null;
  ui.canvas.addEventListener("pointerdown", (event) => {
    const onLine = viewer.other && Math.abs(place(event)[0] - viewer.split) * ui.canvas.clientWidth < 14;
    drag = { line: onLine, at: place(event), x: viewer.x, y: viewer.y };
    ui.canvas.setPointerCapture(event.pointerId);
  });
  ui.canvas.addEventListener("pointermove", (event) => {
    moveCursor(event);
    if (!drag) return;
    const [u, v] = place(event);
    const { scale } = placement();
    const image = viewer.images[viewer.shown];
    if (drag.line) setSplit(u);
    else if (viewer.zoom > 1) {
      viewer.x = drag.x - ((u - drag.at[0]) * ui.canvas.width) / scale / image.width;
      viewer.y = drag.y - ((v - drag.at[1]) * ui.canvas.height) / scale / image.height;
      draw();
    }
  });
  for (const name of ["pointerup", "pointercancel"]) ui.canvas.addEventListener(name, () => { drag = null; });
  ui.canvas.addEventListener("pointerleave", () => { viewer.cursor = null; readOut(); });
  // The wheel scrolls the page until the image has been clicked, so that nobody is trapped on the way down.
  ui.canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== ui.canvas && !event.ctrlKey) return;
    event.preventDefault();
    zoomAt(2 ** (-event.deltaY / 300), ...place(event));
  }, { passive: false });
}

function setSplit(value) {
  viewer.split = Math.max(0, Math.min(1, value));
  ui.split.value = String(Math.round(viewer.split * 1000));
  draw();
}

function onViewerKey(event) {
  const box = ui.stage.getBoundingClientRect();
  const away = box.bottom < 0 || box.top > innerHeight || cellDialog.open;
  if (away || event.ctrlKey || event.metaKey || event.altKey || event.target.matches('select, textarea, input[type="search"]')) return;
  const actions = { "[": () => setExposure(viewer.settings.ev - 0.5), "]": () => setExposure(viewer.settings.ev + 0.5),
    ",": () => step(-1), ".": () => step(1), "+": () => zoomAt(1.5, 0.5, 0.5), "-": () => zoomAt(1 / 1.5, 0.5, 0.5), 0: () => zoomAt(0, 0.5, 0.5) };
  if (/^[1-9]$/.test(event.key)) choose(Number(event.key) - 1);
  else if (actions[event.key]) actions[event.key]();
  else return;
  event.preventDefault();
}

function setUpControls() {
  ui.scene.addEventListener("change", async () => { await loadScene(Number(ui.scene.value)); remember("scene", ui.scene.value); show(Math.min(viewer.shown, viewer.images.length - 1)); });
  ui.mode.addEventListener("change", () => setMode(ui.mode.value));
  ui.ev.addEventListener("input", () => setExposure(Number(ui.ev.value)));
  ui.same.addEventListener("change", () => { viewer.settings.same = ui.same.checked; if (ui.same.checked) setExposure(viewer.settings.ev); else draw(); });
  ui.other.addEventListener("change", () => { viewer.other = ui.other.value; remember("with", viewer.other); draw(); });
  ui.split.addEventListener("input", () => setSplit(Number(ui.split.value) / 1000));
  ui.subject.addEventListener("change", () => { viewer.subject = viewer.images.find((image) => image.key === ui.subject.value); draw(); });
  ui.limit.addEventListener("change", () => { viewer.limit = Number(ui.limit.value); draw(); });
  document.addEventListener("keydown", onViewerKey);
  new ResizeObserver(() => { if (Math.round(ui.stage.clientWidth * devicePixelRatio) !== ui.canvas.width) fitStage(); }).observe(ui.stage);
}

async function startViewer() {
  const app = $("#viewer-app");
  app.append(...buildControls(), ...buildStage());
  app.hidden = false;
  $("#viewer-static").hidden = true;
  setUpControls();
  setUpPointer();
  viewer.other = address.get("with");
  await loadScene(Number(address.get("scene") ?? 0));
  if (address.has("ev")) setExposure(Number(address.get("ev")));
  const wanted = viewer.images.findIndex((image) => image.key === (address.get("image") ?? "result"));
  show(Math.max(wanted, 0));
  app.dataset.ready = "yes";
}

// A browser that cannot decode an image still shows the pictures that were there before.
startViewer().catch((error) => {
  console.error(error);
  $("#viewer-app").hidden = true;
  $("#viewer-static").hidden = false;
});
