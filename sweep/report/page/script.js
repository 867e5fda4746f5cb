"use strict";

// The table of trials. All values stand in a JSON element, a column each; only a window of rows is in the document.
const ROWS = 100;
const element = (id) => document.getElementById(id);

function startTable() {
  const columns = JSON.parse(element("trial-data").textContent);
  const table = element("trial-table");
  const headings = [...table.tHead.rows[0].cells];
  const form = element("trial-filter");
  const search = form.elements.search;
  const choices = [...form.querySelectorAll("select")];
  const count = columns[0].values.length;
  const key = "sweep report " + location.pathname;
  const state = { sort: null, falling: false, first: 0, ...remembered() };
  const texts = Array(count);  // what a search looks in, made when a row is first searched

  const formats = columns.map(({ digits }) => {
    if (digits === null) return null;
    const grouped = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return new Intl.NumberFormat("en", grouped);
  });

  function remembered() {  // a page that reloads itself keeps what its reader chose
    try {
      return JSON.parse(sessionStorage.getItem(key)) || {};
    } catch {
      return {};
    }
  }

  function remember() {
    const filters = Object.fromEntries(choices.map((select) => [select.name, select.value]));
    try {
      sessionStorage.setItem(key, JSON.stringify({ ...state, search: search.value, filters }));
    } catch { /* storage is switched off */ }
  }

  function text(column, row) {
    const value = columns[column].values[row];
    if (value === null) return "";
    if (columns[column].levels) return columns[column].levels[value];
    return formats[column] ? formats[column].format(value) : value;
  }

  function searched(row) {
    texts[row] ??= columns.map((_, column) => text(column, row)).join("\n").toLowerCase();
    return texts[row];
  }

  function matching() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = choices.filter((select) => select.value !== "").map((select) => {
      return [columns[Number(select.dataset.column)].values, Number(select.value)];
    });
    const rows = [];
    for (let row = 0; row < count; row++) {
      const chosen = wanted.every(([values, level]) => values[row] === level);
      if (chosen && words.every((word) => searched(row).includes(word))) rows.push(row);
    }
    return rows;
  }

  function sorted(rows) {
    if (state.sort === null) return rows;
    const { values, levels, digits } = columns[state.sort];
    const sign = state.falling ? -1 : 1;
    const compare = levels || digits !== null ? (a, b) => a - b : (a, b) => (a < b ? -1 : Number(a > b));
    return rows.sort((a, b) => {
      const [one, other] = [values[a], values[b]];
      if (one === null || other === null) return (one === null) - (other === null) || a - b;  // unknown values last
      return sign * compare(one, other) || a - b;
    });
  }

  function show() {
    const rows = sorted(matching());
    if (state.first >= rows.length) state.first = 0;
    const shown = rows.slice(state.first, state.first + ROWS);
    const body = document.createElement("tbody");
    for (const row of shown) {
      const line = body.insertRow();
      columns.forEach((column, index) => {
        const cell = index ? line.insertCell() : line.appendChild(document.createElement("th"));
        if (!index) cell.scope = "row";
        cell.className = headings[index].className;
        cell.textContent = text(index, row);
      });
    }
    table.tBodies[0].replaceWith(body);
    headings.forEach((heading, index) => {
      const direction = state.falling ? "descending" : "ascending";
      heading.setAttribute("aria-sort", index === state.sort ? direction : "none");
    });
    const number = (value) => value.toLocaleString("en");
    const range = shown.length ? `${number(state.first + 1)}–${number(state.first + shown.length)} of ` : "";
    const all = rows.length < count ? `, of ${number(count)} in all` : "";
    element("trial-count").textContent = `${range}${number(rows.length)} trials${all}`;
    element("trial-earlier").disabled = state.first === 0;
    element("trial-later").disabled = state.first + ROWS >= rows.length;
    remember();
  }

  function move(by) {
    state.first += by;
    show();
    table.parentElement.scrollTop = 0;
  }

  headings.forEach((heading, index) => {
    heading.querySelector("button").addEventListener("click", () => {
      state.falling = state.sort === index && !state.falling;
      Object.assign(state, { sort: index, first: 0 });
      show();
    });
  });
  form.addEventListener("input", () => { state.first = 0; show(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();  // the fields would be empty only after this
    for (const field of [search, ...choices]) field.value = "";
    Object.assign(state, { sort: null, falling: false, first: 0 });
    show();
  });
  element("trial-earlier").addEventListener("click", () => move(-ROWS));
  element("trial-later").addEventListener("click", () => move(ROWS));

  search.value = state.search ?? "";
  for (const select of choices) select.value = state.filters?.[select.name] ?? "";
  delete state.search;
  delete state.filters;
  if (state.sort >= columns.length) state.sort = null;
  form.hidden = false;
  show();
}

// While the sweep runs, the report is written again; the page then shows the new one.
function startReloading() {
  const button = element("reload");
  const seconds = Number(button.dataset.seconds);
  let timer = setTimeout(() => location.reload(), 1000 * seconds);
  button.hidden = false;
  button.addEventListener("click", () => {
    clearTimeout(timer);
    timer = timer === null ? setTimeout(() => location.reload(), 1000 * seconds) : null;
    button.textContent = timer === null ? "Reload again" : "Stop reloading";
  });
}

// On paper, what is folded is open.
const folded = () => document.querySelectorAll("details.printed");
addEventListener("beforeprint", () => folded().forEach((part) => {
  part.dataset.folded = part.open ? "" : "yes";
  part.open = true;
}));
addEventListener("afterprint", () => folded().forEach((part) => { part.open = part.dataset.folded !== "yes"; }));

if (element("trial-table")) startTable();
if (element("reload")) startReloading();
