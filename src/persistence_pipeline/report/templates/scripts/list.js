// The list: a row for each trajectory, made only where it can be seen, so its length does not matter. Arrow keys move.

const list = { rows: [], columns: [], place: document.getElementById("cases"), inner: h("div", { role: "presentation" }), head: document.getElementById("list-head") };
list.place.append(list.inner);
const rowHeight = () => (isNarrow() ? 52 : 30);

function renderList(rows) {
  list.rows = rows;
  list.columns = shownColumns(state).map((name) => ({ name, value: valuesOf(name, state) }));
  const widths = widthsOf(list.columns.map(({ name }) => name));
  for (const place of [list.place, list.head]) place.style.setProperty("--columns", widths);
  list.head.replaceChildren(...list.columns.map(({ name }) => headButton(name)));
  list.inner.style.height = `${rows.length * rowHeight()}px`;
  const at = chosenRow();
  if (at >= 0) keepInView(at);
  else list.place.scrollTop = 0;
  drawRows();
}

/** Sorts by its column: the first time the worst in front, then the other way round. */
function headButton(name) {
  const by = state.sort === name ? "ascending" : state.sort === `-${name}` ? "descending" : "none";
  const next = by === "ascending" ? `-${name}` : name;
  const arrow = { ascending: " ▲", descending: " ▼", none: "" }[by];
  const title = COLUMNS[name].gap ? `${minusOf(state).map(sideText).join(" minus ")}` : `sort by ${COLUMNS[name].text}`;
  return h("button", { type: "button", id: `sort-${name}`, title, "aria-pressed": String(by !== "none"), click: () => setState({ sort: next }) }, COLUMNS[name].text, arrow);
}

function sideText(name) {
  return cellByName.get(name)?.label || looks.orderings[name]?.label || name;
}

/** The row of the chosen trajectory, else the first of the chosen case; -1 where neither passes. */
function chosenRow() {
  const index = caseById.get(state.case);
  const ofCase = (t) => t.case === index;
  const exact = list.rows.findIndex((t) => ofCase(t) && cells[t.cell].name === state.agent && String(t.sample) === state.sample);
  if (exact >= 0) return exact;
  const sampled = list.rows.findIndex((t) => ofCase(t) && String(t.sample) === state.sample);
  return sampled >= 0 ? sampled : list.rows.findIndex(ofCase);
}

function keepInView(at) {
  const { scrollTop, clientHeight } = list.place;
  const [top, height] = [at * rowHeight(), rowHeight()];
  if (top < scrollTop) list.place.scrollTop = top;
  else if (top + height > scrollTop + clientHeight) list.place.scrollTop = top + height - clientHeight;
}

function drawRows() {
  const height = rowHeight();
  const first = Math.max(0, Math.floor(list.place.scrollTop / height) - 4);
  const last = Math.min(list.rows.length, first + Math.ceil(list.place.clientHeight / height) + 9);
  const at = chosenRow();
  list.inner.style.height = `${list.rows.length * height}px`;
  list.inner.replaceChildren(...list.rows.slice(first, last).map((t, offset) => rowElement(t, first + offset, first + offset === at, height)));
  if (at >= first && at < last) list.place.setAttribute("aria-activedescendant", `row-${at}`);
  else list.place.removeAttribute("aria-activedescendant");
}

function rowElement(t, at, chosen, height) {
  const parts = list.columns.map(({ name, value }) => h("span", { class: `col-${name}` }, name === "agent" ? [icon(cellOf(t).ordering), " "] : h("span", { class: "hidden" }, `${COLUMNS[name].text} `), valueText(name, value(t)), h("span", { class: "hidden" }, ", ")));
  return h(
    "div",
    { id: `row-${at}`, class: "row", role: "option", "aria-selected": chosen ? "true" : "false", "aria-setsize": list.rows.length, "aria-posinset": at + 1, title: caseOf(t).instruction, style: `top:${at * height}px;height:${height}px`, click: () => choose(at) },
    parts,
  );
}

function score(value) {
  return value === null ? "–" : String(Math.round(10 * value) / 10);
}

function choose(at) {
  if (!list.rows.length) return;
  const t = list.rows[Math.max(0, Math.min(list.rows.length - 1, at))];
  setState({ case: cases[t.case].case_id, sample: String(t.sample), agent: cells[t.cell].name });
}

list.place.addEventListener("scroll", drawRows, { passive: true });
new ResizeObserver(() => { if (packed && list.place.clientWidth) renderList(list.rows); }).observe(list.place);
list.place.addEventListener("keydown", (event) => {
  const page = Math.max(1, Math.floor(list.place.clientHeight / rowHeight()) - 1);
  const at = chosenRow();
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: list.rows.length - 1 };
  if (!(event.key in moves)) return;
  event.preventDefault();
  choose(moves[event.key]);
});
