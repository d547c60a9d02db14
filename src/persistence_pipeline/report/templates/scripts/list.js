// The list: a row for each trajectory.

const list = windowedList({ place: document.getElementById("cases"), id: "row", element: rowElement, chosen: chosenRow, choose });
list.head = document.getElementById("list-head");
list.columns = [];

function renderList(rows) {
  list.columns = shownColumns(state).map((name) => ({ name, value: valuesOf(name, state) }));
  const widths = widthsOf(list.columns.map(({ name }) => name));
  for (const place of [list.place, list.head]) place.style.setProperty("--columns", widths);
  list.head.replaceChildren(...list.columns.map(({ name }) => headButton(name)));
  list.show(rows);
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

function rowElement(t) {
  const parts = list.columns.map(({ name, value }) => h("span", { class: `col-${name}` }, name === "agent" ? [icon(cellOf(t).ordering), " "] : h("span", { class: "hidden" }, `${COLUMNS[name].text} `), valueText(name, value(t)), h("span", { class: "hidden" }, ", ")));
  return { title: caseOf(t).instruction, parts };
}

function score(value) {
  return value === null ? "–" : String(Math.round(10 * value) / 10);
}

function choose(at) {
  if (!list.rows.length) return;
  const t = list.rows[Math.max(0, Math.min(list.rows.length - 1, at))];
  setState({ case: cases[t.case].case_id, sample: String(t.sample), agent: cells[t.cell].name });
}

new ResizeObserver(() => { if (packed && list.place.clientWidth) renderList(list.rows); }).observe(list.place);
