"use strict";
/* Views, filters, sorting and columns of the tables; everything chosen is kept in the address, so that a view can be shared. */

const report = JSON.parse(document.getElementById("data").textContent);
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Build an element; text children are never parsed as markup. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/* ---- the address ---- */

const address = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

function remember(key, value) {
  if (value) address.set(key, value);
  else address.delete(key);
  const text = address.toString();
  history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  $("#reset").hidden = !["view", "q", "state"].some((name) => address.has(name)) && ![...address.keys()].some((name) => /^(sort|hide)\./.test(name));
}

function say(message) { $("#status").textContent = message; }

/* ---- sorting ---- */

/** Numbers before text, empty values last whatever the direction. */
function compare(a, b, descending) {
  if (a == null || b == null) return (a == null) - (b == null);
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  return descending ? -order : order;
}

/** Put the rows of a table body in the order of their keys; without a direction, in the order of the document. */
function orderRows(body, rows, keyOf, direction) {
  const order = rows.map((row, index) => ({ row, index, key: direction ? keyOf(row, index) : null }));
  if (direction) order.sort((a, b) => compare(a.key, b.key, direction === "desc") || a.index - b.index);
  body.append(...order.map((item) => item.row));
}

/** Turn the label of a header into a button that steps through first direction, second direction, none. */
function sortButton(head, first, apply) {
  const label = $(".name", head) ?? head;
  const button = el("button", { type: "button", class: "sort", title: "Sort" });
  button.append(...label.childNodes);
  label.append(button);
  button.addEventListener("click", () => {
    const now = { ascending: "asc", descending: "desc" }[head.getAttribute("aria-sort")];
    const start = first();
    apply(!now ? start : now === start ? (start === "asc" ? "desc" : "asc") : null);
  });
}

function markSorted(heads, head, direction) {
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  if (head && direction) head.setAttribute("aria-sort", direction === "asc" ? "ascending" : "descending");
}

/** Make a plain table (text, or data-value numbers) sortable by its headers. */
function sortable(table) {
  const rows = $$("tbody tr", table);
  const heads = $$("thead th", table);
  heads.forEach((head, column) => sortButton(head, () => "asc", (direction) => {
    const keyOf = (row) => {
      const cell = row.cells[column];
      const text = cell.dataset.value ?? cell.textContent.trim();
      return text === "" || text === "–" || text === "None" ? null : Number.isNaN(Number(text)) ? text : Number(text);
    };
    orderRows($("tbody", table), rows, keyOf, direction);
    markSorted(heads, head, direction);
  }));
}

/* ---- result tables ---- */

const view = () => document.body.dataset.view;
const printedNumber = (text) => {
  const value = Number.parseFloat((text ?? "").replace("−", "-").replace(/,/g, ""));
  return Number.isNaN(value) ? null : value;
};

function sortValue(cell) {
  if (view() === "reported") return printedNumber(cell.reported);
  return cell[{ difference: "delta", percent: "delta_percent" }[view()] ?? "value"];
}

const grids = report.tables.map((table) => {
  const article = document.getElementById(table.id);
  const rows = $$(".grid tbody tr", article);
  return { table, article, rows, body: $(".grid tbody", article), heads: $$(".grid .heads th", article), hidden: new Set() };
});

function sortGrid(grid, key, direction) {
  const column = grid.table.columns.findIndex((item) => item.id === key);
  const lead = column < 0 ? Number(key?.slice(1)) : null;
  const keyOf = (row) => {
    const data = grid.table.rows[row.dataset.row];
    return column < 0 ? data.labels[lead] : sortValue(data.cells[column]);
  };
  orderRows(grid.body, grid.rows, keyOf, direction);
  const head = grid.heads.find((item) => item.dataset.column === key || (column < 0 && Number(item.dataset.head) === lead));
  markSorted(grid.heads, head, direction);
  grid.sorted = direction ? [key, direction] : null;
  remember("sort." + grid.table.id, direction ? key + ":" + direction : null);
}

function setUpSorting(grid) {
  for (const head of grid.heads) {
    const column = grid.table.columns.find((item) => item.id === head.dataset.column);
    // The first click brings the best to the top; signed differences are positive where ours is better.
    const first = () => (!column || (column.better !== "higher" && !["difference", "percent"].includes(view())) ? "asc" : "desc");
    sortButton(head, first, (direction) => sortGrid(grid, column ? column.id : "h" + head.dataset.head, direction));
  }
}

function filterGrid(grid, words, states) {
  let shown = 0;
  for (const row of grid.rows) {
    const data = grid.table.rows[row.dataset.row];
    const text = [...data.labels, data.note ?? "", data.printed ? "" : "not in the paper"].join(" ").toLowerCase();
    const visible = data.cells.filter((cell, index) => !grid.hidden.has(grid.table.columns[index].id));
    const keep = words.every((word) => text.includes(word)) && (!states.size || visible.some((cell) => states.has(cell.state)));
    row.hidden = !keep;
    shown += keep;
    $$("td", row).forEach((cell) => cell.classList.toggle("dim", states.size > 0 && !states.has(cell.dataset.state)));
  }
  const note = $(".shown", grid.article);
  note.hidden = shown === grid.rows.length;
  note.textContent = shown ? `${shown} of ${grid.rows.length} rows shown` : "No row matches the filter.";
  return shown;
}

function filterAll() {
  const text = $("#filter").value.trim().toLowerCase();
  const states = new Set($$("#states input:checked").map((box) => box.value));
  const shown = grids.reduce((sum, grid) => sum + filterGrid(grid, text.split(/\s+/).filter(Boolean), states), 0);
  $("#states .count").textContent = states.size ? ` (${states.size})` : "";
  remember("q", text);
  remember("state", [...states].join(","));
  if (text || states.size) say(`${shown} rows shown`);
}

/* ---- columns ---- */

function hideColumns(grid) {
  grid.table.columns.forEach((column, index) => {
    const off = grid.hidden.has(column.id);
    grid.heads[index + grid.table.row_headers.length].hidden = off;
    grid.rows.forEach((row) => { $$("td", row)[index].hidden = off; });
  });
  let start = 0;
  for (const head of $$(".groups th", grid.article)) {
    head.dataset.span ??= head.colSpan;
    const own = grid.table.columns.slice(start, (start += Number(head.dataset.span)));
    const left = own.filter((column) => !grid.hidden.has(column.id)).length;
    head.hidden = left === 0;
    head.colSpan = Math.max(left, 1);
  }
  $(".columns .count", grid.article).textContent = grid.hidden.size ? ` (${grid.hidden.size} hidden)` : "";
  remember("hide." + grid.table.id, [...grid.hidden].join(","));
}

function setUpColumns(grid) {
  const menu = $(".columns .menu-body", grid.article);
  let group = null;
  for (const column of grid.table.columns) {
    if (column.group !== group) menu.append(el("b", {}, column.group ?? "Others"));
    group = column.group;
    const box = el("input", { type: "checkbox", value: column.id, checked: !grid.hidden.has(column.id) });
    box.addEventListener("change", () => {
      if (box.checked) grid.hidden.delete(column.id);
      else grid.hidden.add(column.id);
      hideColumns(grid);
      filterAll();
    });
    menu.append(el("label", {}, box, " " + column.label));
  }
}

/** Show on which sides a table goes on. */
function setUpShadows({ article }) {
  const box = $(".results", article);
  const update = () => {
    box.parentElement.classList.toggle("moved", box.scrollLeft > 2);
    box.parentElement.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
  };
  box.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(box.firstElementChild);
  new ResizeObserver(update).observe(box);
}

/* ---- views, exports, start ---- */

function setView(name) {
  document.body.dataset.view = name;
  $$(".segmented button").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.view === name)));
  grids.filter((grid) => grid.sorted).forEach((grid) => sortGrid(grid, ...grid.sorted));
  remember("view", name === "all" ? null : name);
}

/** A button that copies; where the page may not reach the clipboard it selects nothing and says so. */
function copyButton(text, label = "Copy") {
  const button = el("button", { type: "button", class: "copy", "aria-label": label }, "Copy");
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    let done = true;
    try { await navigator.clipboard.writeText(text); } catch { done = copyByField(text, button.closest("dialog")); }
    button.textContent = done ? "Copied" : "Not allowed";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

/** Pages opened from a file have no clipboard interface in some browsers; a selected field can still be copied. */
function copyByField(text, dialog) {
  const field = el("textarea", { class: "hidden", readonly: true });
  field.value = text;
  (dialog ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

function setUpExports(grid) {
  for (const link of $$("[data-export]", grid.article)) {
    const text = report.exports[grid.table.id][link.dataset.export];
    // The page may have been moved away from its folder: serve the file from the page itself.
    link.download = `${grid.table.id}.${link.dataset.export}`;
    link.href = "data:text/plain;charset=utf-8," + encodeURIComponent(text);
    const pair = el("span", { class: "export" });
    link.replaceWith(pair);
    pair.append(link, copyButton(text, `Copy ${grid.table.number} as ${link.textContent}`));
  }
}

function restore() {
  const known = $$(".segmented button").map((button) => button.dataset.view);
  setView(known.includes(address.get("view")) ? address.get("view") : "all");
  $("#filter").value = address.get("q") ?? "";
  const states = (address.get("state") ?? "").split(",");
  $$("#states input").forEach((box) => { box.checked = states.includes(box.value); });
  for (const grid of grids) {
    const columns = grid.table.columns.map((column) => column.id);
    grid.hidden = new Set((address.get("hide." + grid.table.id) ?? "").split(",").filter((id) => columns.includes(id)));
    $$(".columns input", grid.article).forEach((box) => { box.checked = !grid.hidden.has(box.value); });
    hideColumns(grid);
    const [, key, direction] = /^(.*):(asc|desc)$/.exec(address.get("sort." + grid.table.id) ?? "") ?? [];
    const valid = columns.includes(key) || grid.table.row_headers.some((_, index) => key === "h" + index);
    sortGrid(grid, valid ? key : null, valid ? direction : null);
  }
  filterAll();
}

function reset() {
  [...address.keys()].filter((key) => /^(view|q|state|(sort|hide)\..*)$/.test(key)).forEach((key) => address.delete(key));
  restore();
}

function start() {
  grids.forEach((grid) => { setUpSorting(grid); setUpColumns(grid); setUpExports(grid); setUpShadows(grid); });
  $$("table.sortable").forEach(sortable);
  $$(".strip .copyable").forEach((code) => code.after(" ", copyButton(code.textContent, "Copy the command")));
  $$(".segmented button").forEach((button) => button.addEventListener("click", () => setView(button.dataset.view)));
  $("#filter").addEventListener("input", filterAll);
  $$("#states input").forEach((box) => box.addEventListener("change", filterAll));
  $("#reset").addEventListener("click", reset);
  // An open menu closes when anything else is clicked, or with Escape.
  document.addEventListener("click", (event) => $$("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; }));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") $$("details.menu[open]").forEach((menu) => { menu.open = false; $("summary", menu).focus(); }); });
  // A link to a section would overwrite the state in the address.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    const target = link && document.getElementById(link.getAttribute("href").slice(1));
    if (!target) return;
    event.preventDefault();
    target.scrollIntoView();
    remember("at", target.id);
  });
  restore();
  document.getElementById(address.get("at") ?? "")?.scrollIntoView();
}

start();
