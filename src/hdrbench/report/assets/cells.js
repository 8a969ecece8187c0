"use strict";
/* Provenance of a cell on hover and focus, its scores per image on click, and arrow keys between cells. */

const popover = document.getElementById("popover");
const cellDialog = document.getElementById("cell");
let popoverTimer = 0;
let popoverCell = null;

/** Everything known of the cell in a <td>. */
function lookUp(td) {
  const grid = grids.find((item) => item.article.contains(td));
  const row = grid.table.rows[td.parentElement.dataset.row];
  const index = $$("td", td.parentElement).indexOf(td);
  const cell = row.cells[index];
  const column = grid.table.columns[index];
  return { table: grid.table, row, column, cell, state: report.states[cell.state], run: report.runs[cell.run], scores: scoresOf(cell) };
}

/** Scores per image behind a cell: image names, values by metric, and which image the cell is of where it is of one alone. */
function scoresOf(cell) {
  const found = report.scores[cell.run]?.[cell.test];
  const sheet = found?.sheets.find((item) => item.subject === cell.subject && item.protocol === cell.protocol);
  if (!sheet) return null;
  return { images: found.images, metrics: sheet.metrics, own: cell.image };
}

const subjectName = (cell) => (!cell.subject || cell.subject === "result" ? null : cell.subject.replaceAll("_", " "));

const columnName = (column) => [column.group, column.label].filter(Boolean).join(": ");
const fixed = (value, digits) => (value == null ? "–" : value.toFixed(digits).replace("-", "−"));

/** Add "term: value" to a list unless there is no value. */
function fact(list, term, ...values) {
  if (values.some((value) => value != null && value !== "")) list.append(el("dt", {}, term), el("dd", {}, ...values));
}

function runFacts(list, cell, run) {
  fact(list, "Run", run ? `${run.label} (${cell.run})` : cell.run);
  if (!run) return;
  fact(list, "Trained", [run.iterations != null && `${run.iterations} iterations`, run.seed != null && `seed ${run.seed}`, run.device, run.precision].filter(Boolean).join(", "));
  fact(list, "Commit", run.commit ? run.commit.slice(0, 12) + (run.dirty ? " + uncommitted changes" : "") : null);
  fact(list, "With", [run.torch && `torch ${run.torch}`, run.cuda && `CUDA ${run.cuda}`, run.finished?.replace("T", " ").replace("Z", " UTC")].filter(Boolean).join(", "));
  if (run.notes?.length) fact(list, "Notes", run.notes.join("; "));
}

function facts({ column, cell, run, scores }) {
  const list = el("dl", { class: "facts" });
  fact(list, "Ours", cell.text && cell.text + (cell.unit ? ` ${cell.unit}` : ""));
  if (cell.value != null && cell.sd != null) fact(list, "Mean ± sd", `${fixed(cell.value, cell.decimals + 1)} ± ${fixed(cell.sd, cell.decimals + 1)}`);
  if (scores?.own) fact(list, "Image", `${scores.own}, one of ${scores.images.length}`);
  else fact(list, "Images", cell.n);
  fact(list, "Printed", cell.reported && cell.reported + (column.elsewhere ? `, by ${column.elsewhere}` : ""));
  const percent = cell.delta_percent == null ? "" : ` (${(cell.delta_percent > 0 ? "+" : "") + fixed(cell.delta_percent, 2)} %)`;
  fact(list, "Difference", cell.delta_text && cell.delta_text.replace("-", "−") + percent);
  runFacts(list, cell, run);
  fact(list, "Metric", cell.protocol && cell.metric);
  fact(list, "Scored", subjectName(cell));
  const protocol = report.protocols[cell.protocol];
  fact(list, "Protocol", cell.protocol && cell.protocol + (protocol ? ` ${protocol.hash.slice(0, 12)}` : ""));
  return list;
}

function stateLine(entry) {
  const { state, cell } = entry;
  const glyph = el("span", { class: `g s-${state.severity}` }, state.glyph);
  return el("p", { class: "state" }, glyph, " ", el("b", {}, state.label), ". ", cell.reason ? cell.reason : state.explanation);
}

function commandLine(cell) {
  return cell.command ? el("div", { class: "command" }, el("code", {}, cell.command), copyButton(cell.command, "Copy the command that rebuilds this cell")) : null;
}

/* ---- popover ---- */

function showPopover(td) {
  if (cellDialog.open) return;
  clearTimeout(popoverTimer);
  const entry = lookUp(td);
  const title = el("p", { class: "title" }, el("b", {}, entry.row.labels.join(", ")), " · " + columnName(entry.column));
  popover.replaceChildren(title, stateLine(entry), facts(entry), commandLine(entry.cell) ?? "");
  popover.hidden = false;
  popoverCell = td;
  placePopover();
}

function placePopover() {
  const at = popoverCell.getBoundingClientRect();
  const size = popover.getBoundingClientRect();
  const below = at.bottom + size.height + 6 < innerHeight;
  popover.style.left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - size.width - 8)) + "px";
  popover.style.top = (below ? at.bottom + 2 : Math.max(8, at.top - size.height - 2)) + "px";
}

function hidePopover(delay = 0) {
  clearTimeout(popoverTimer);
  popoverTimer = setTimeout(() => { popover.hidden = true; }, delay);
}

/* ---- dialog ---- */

const statistics = {
  mean: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  sd: (values) => (values.length > 1 ? Math.sqrt(values.reduce((sum, value) => sum + (value - statistics.mean(values)) ** 2, 0) / values.length) : null),
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
};

/** Enough digits to tell images apart, whatever the scale of the metric. */
const digitsOf = (values) => (values.some((value) => Math.abs(value) >= 10) ? 3 : 5);

function imageTable(scores, chosen) {
  const names = Object.keys(scores.metrics);
  const head = el("tr", {}, el("th", { scope: "col" }, "Image"), ...names.map((name) => el("th", { scope: "col", class: name === chosen ? "chosen" : null }, name)));
  const rows = scores.images.map((image, index) => el("tr", { class: image === scores.own ? "own" : null }, el("th", { scope: "row" }, image), ...names.map((name) => {
    const value = scores.metrics[name][index];
    return el("td", { class: "num" + (name === chosen ? " chosen" : ""), "data-value": value ?? "" }, fixed(value, digitsOf(scores.metrics[name])));
  })));
  const foot = Object.entries(statistics).map(([label, of]) => el("tr", {}, el("th", { scope: "row" }, label), ...names.map((name) => {
    const values = scores.metrics[name].filter((value) => value != null);
    return el("td", { class: "num" }, fixed(values.length ? of(values) : null, digitsOf(values)));
  })));
  const table = el("table", { class: "plain" }, el("thead", {}, head), el("tbody", {}, ...rows), el("tfoot", {}, ...foot));
  sortable(table);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores per image" }, table);
}

function openDialog(td) {
  clearTimeout(popoverTimer);
  popover.hidden = true;
  const entry = lookUp(td);
  const close = el("button", { type: "button", "aria-label": "Close" }, "✕");
  close.addEventListener("click", () => cellDialog.close());
  const title = el("h2", { id: "cell-title" }, `${entry.table.number} · ${entry.row.labels.join(", ")} · ${columnName(entry.column)}`);
  cellDialog.replaceChildren(el("header", {}, title, close), stateLine(entry), facts(entry), commandLine(entry.cell) ?? "");
  if (report.foreign && entry.cell.text) cellDialog.append(el("p", {}, el("span", { class: "flag foreign" }, el("b", {}, `Profile ${report.profile.name}`), " · not the paper’s data")));
  if (entry.scores) {
    const about = [`run ${entry.cell.run}`, `test set ${entry.cell.test}`, subjectName(entry.cell)].filter(Boolean).join(", ");
    cellDialog.append(el("h3", {}, `Scores per image: ${about}`), imageTable(entry.scores, entry.cell.metric));
  } else cellDialog.append(el("p", { class: "muted" }, "This cell has no scores per image."));
  cellDialog.showModal();
  $("tr.own", cellDialog)?.scrollIntoView({ block: "nearest" });
  cellDialog.addEventListener("close", () => td.focus({ preventScroll: true }), { once: true });
}

/* ---- keyboard: one tab stop per table, arrows move ---- */

function neighbour(td, key) {
  const across = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const column = td.cellIndex;
  const rows = $$("tr:not([hidden])", td.closest("tbody"));
  if (across) {
    let next = td;
    do next = across < 0 ? next.previousElementSibling : next.nextElementSibling; while (next?.hidden);
    return next?.tagName === "TD" ? next : null;
  }
  const row = rows[rows.indexOf(td.parentElement) + { ArrowUp: -1, ArrowDown: 1 }[key]];
  return row?.cells[column];
}

function onCellKey(event) {
  const td = event.target;
  if (td.tagName !== "TD") return;
  if (event.key === "Enter" || event.key === " ") openDialog(td);
  else if (event.key === "Escape") hidePopover();
  else if (event.key.startsWith("Arrow")) neighbour(td, event.key)?.focus();
  else return;
  event.preventDefault();
}

function setUpCells({ article }) {
  const body = $(".grid tbody", article);
  const cells = $$("td", body);
  // The title is for readers without JavaScript; the popover says more.
  cells.forEach((td, index) => { td.tabIndex = index ? -1 : 0; td.firstElementChild.removeAttribute("title"); });
  body.addEventListener("focusin", (event) => {
    const td = event.target.closest("td");
    if (!td) return;
    cells.forEach((other) => { other.tabIndex = other === td ? 0 : -1; });
    if (td.matches(":focus-visible")) showPopover(td);
  });
  body.addEventListener("focusout", () => hidePopover(150));
  body.addEventListener("mouseover", (event) => {
    const td = event.target.closest("td");
    if (!td) return;
    clearTimeout(popoverTimer);
    popoverTimer = setTimeout(() => showPopover(td), popover.hidden ? 250 : 120);
  });
  body.addEventListener("mouseleave", () => hidePopover(250));
  body.addEventListener("click", (event) => { const td = event.target.closest("td"); if (td) openDialog(td); });
  body.addEventListener("keydown", onCellKey);
}

grids.forEach(setUpCells);
popover.addEventListener("mouseenter", () => clearTimeout(popoverTimer));
popover.addEventListener("mouseleave", () => hidePopover(150));
popover.addEventListener("focusin", () => clearTimeout(popoverTimer));
// Arrow keys can scroll the cell that they reach into sight: its popover follows, any other closes.
addEventListener("scroll", () => {
  if (popover.hidden) return;
  if (popoverCell === document.activeElement) placePopover();
  else popover.hidden = true;
}, { passive: true, capture: true });
cellDialog.addEventListener("click", (event) => { if (event.target === cellDialog) cellDialog.close(); });
