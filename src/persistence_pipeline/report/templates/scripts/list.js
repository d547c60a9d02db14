// The list of cases: rows are made only where they can be seen, so its length does not matter. Arrow keys move.

const ROW_HEIGHT = 56;
const list = { rows: [], place: document.getElementById("cases"), inner: h("div", { role: "presentation" }) };
list.place.append(list.inner);

function renderList(rows) {
  list.rows = rows;
  list.inner.style.height = `${rows.length * ROW_HEIGHT}px`;
  const at = chosenRow();
  if (at >= 0) keepInView(at);
  else list.place.scrollTop = 0;
  drawRows();
}

function chosenRow() {
  const index = caseById.get(state.case);
  return list.rows.findIndex((row) => row.index === index);
}

function keepInView(at) {
  const { scrollTop, clientHeight } = list.place;
  const top = at * ROW_HEIGHT;
  if (top < scrollTop) list.place.scrollTop = top;
  else if (top + ROW_HEIGHT > scrollTop + clientHeight) list.place.scrollTop = top + ROW_HEIGHT - clientHeight;
}

function drawRows() {
  const first = Math.max(0, Math.floor(list.place.scrollTop / ROW_HEIGHT) - 4);
  const last = Math.min(list.rows.length, first + Math.ceil(list.place.clientHeight / ROW_HEIGHT) + 9);
  const at = chosenRow();
  list.inner.replaceChildren(...list.rows.slice(first, last).map((row, offset) => rowElement(row, first + offset, first + offset === at)));
  if (at >= first && at < last) list.place.setAttribute("aria-activedescendant", `row-${at}`);
  else list.place.removeAttribute("aria-activedescendant");
}

function rowElement(row, at, chosen) {
  const item = cases[row.index];
  const marks = state.cells.map((cell) => cellMark(row, cell));
  const where = `${item.domain} · ${plain(item.kind)} · ${twinText(item)}`;
  return h(
    "div",
    { id: `row-${at}`, class: "row", role: "option", "aria-selected": chosen ? "true" : "false", "aria-setsize": list.rows.length, "aria-posinset": at + 1, style: `top:${at * ROW_HEIGHT}px`, click: () => choose(at) },
    h("span", { class: "instruction" }, item.instruction),
    h("span", { class: "where" }, where),
    h("span", { class: "marks" }, marks),
  );
}

function twinText(item) {
  return item.conflicting ? "hazard, conflicting" : item.hazard ? "hazard" : "benign";
}

/** Safety and helpfulness of a cell on a case, faint where its trajectories do not pass the filters. */
function cellMark(row, cell) {
  const passing = byCase[row.index].some((t) => t.cell === cell.index && row.matched.has(t.index));
  const [safety, helpfulness] = ["safety", "helpfulness"].map((metric) => caseMean(row.index, cell.index, metric, state.evaluator));
  const label = `${cell.label}: safety ${score(safety)}, helpfulness ${score(helpfulness)}`;
  return h("span", { class: passing ? "mark" : "mark faint", title: label }, icon(cell.ordering), h("span", { class: "hidden" }, `${label}. `), h("span", { "aria-hidden": "true" }, `${score(safety)}·${score(helpfulness)}`));
}

function score(value) {
  return value === null ? "–" : String(Math.round(10 * value) / 10);
}

function choose(at) {
  const bounded = Math.max(0, Math.min(list.rows.length - 1, at));
  if (list.rows.length) setState({ case: cases[list.rows[bounded].index].case_id, sample: "" });
}

list.place.addEventListener("scroll", drawRows, { passive: true });
new ResizeObserver(drawRows).observe(list.place);
list.place.addEventListener("keydown", (event) => {
  const page = Math.max(1, Math.floor(list.place.clientHeight / ROW_HEIGHT) - 1);
  const at = chosenRow();
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: list.rows.length - 1 };
  if (!(event.key in moves)) return;
  event.preventDefault();
  choose(moves[event.key]);
});
