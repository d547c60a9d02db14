// The trajectory view put together: filters, counts, list, case.

const filterPlace = document.getElementById("filters");
const countPlace = document.getElementById("counts");

function showTrajectories(query) {
  state = readState(query);
  renderTrajectories();
}

function renderTrajectories() {
  const rows = matchingCases(state);
  renderFilters();
  countPlace.replaceChildren(...countTexts(rows));
  renderList(rows);
  renderCase(rows);
}

function countTexts(rows) {
  const passing = rows.reduce((sum, row) => sum + row.matched.size, 0);
  const { total } = packed;
  const sentences = [`${plural(rows.length, "case")}, ${passing.toLocaleString("en")} of ${total.trajectories.toLocaleString("en")} trajectories pass.`];
  if (cases.length < total.cases) {
    sentences.push(` This page holds ${cases.length.toLocaleString("en")} of the ${total.cases.toLocaleString("en")} cases, with all their trajectories, held-out combinations first (parameter report.browser_megabytes).`);
  }
  return sentences;
}

/** Levels of a field of the cases, as options with an empty one first. */
function levels(field, any, text = plain) {
  const values = [...new Set(cases.map((item) => item[field]))];
  return [["", any], ...values.map((value) => [value, text(value)])];
}

function renderFilters() {
  const focused = document.activeElement?.id || document.activeElement?.name;
  const set = (key) => (value) => setState({ [key]: value });
  const scores = [["", "any"], ["3", "3"], ["2", "2"], ["1", "1"], ["0", "0"], ["none", "not graded"]];
  const stops = [["", "any"], ...[...new Set(trajectories.map((t) => t.stop))].sort().map((stop) => [stop, plain(stop)])];
  const twins = [["", "any"], ["hazard", "hazard"], ["conflicting", "hazard, conflicting"], ["benign", "benign"]];
  filterPlace.replaceChildren(
    cellChoice(),
    select("split", "Split", levels("split", "all", (value) => splitNames[value] || value), state.split, set("split")),
    select("domain", "Domain", levels("domain", "all"), state.domain, set("domain")),
    select("kind", "Kind of hazard", levels("kind", "all"), state.kind, set("kind")),
    select("twin", "Twin", twins, state.twin, set("twin")),
    select("safety", "Safety", scores, state.safety, set("safety")),
    select("helpfulness", "Helpfulness", scores, state.helpfulness, set("helpfulness")),
    select("stop", "Stopped", stops, state.stop, set("stop")),
    ...(evaluators.length > 1 ? [select("evaluator", "Evaluator", evaluators.map((name, index) => [String(index), name]), String(state.evaluator), (value) => setState({ evaluator: Number(value) }))] : []),
    h("label", {}, h("span", {}, "Text"), h("input", { type: "search", name: "q", value: state.q, input: later((event) => setState({ q: event.target.value })) })),
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "differ", checked: Boolean(state.differ), change: (event) => setState({ differ: event.target.checked ? "1" : "" }) }), h("span", {}, "scores differ")),
    pairChip(),
    h("button", { type: "button", name: "reset", click: () => { location.hash = "#trajectories"; route(); } }, "Reset"),
  );
  if (focused) restoreFocus(focused);
}

/** Filters are made anew after each change; the one in use keeps the focus and the caret. */
function restoreFocus(name) {
  const element = document.getElementById(name) || filterPlace.elements[name];
  if (!element || !filterPlace.contains(element)) return;
  element.focus();
  if (element.type === "search") element.setSelectionRange(element.value.length, element.value.length);
}

function later(action) {
  let timer = 0;
  return (event) => { clearTimeout(timer); timer = setTimeout(() => action(event), 150); };
}

/** Which cells are shown as columns: a group of one source, beta and seed, and a button for each of its cells. */
function cellChoice() {
  const all = groups();
  const shown = new Set(state.cells);
  const group = all.find((one) => state.cells.every((cell) => one.cells.includes(cell)));
  const members = [...new Set([...(group ? group.cells : []), ...state.cells])];
  const pick = all.length > 1 ? select("group", "Cells of", [...(group ? [] : [["", "a choice of its own"]]), ...all.map((one) => [one.key, one.label])], group ? group.key : "", (key) => setState({ cells: all.find((one) => one.key === key).cells, chosen: true, reference: "" })) : null;
  const toggle = (cell) => {
    const next = members.filter((member) => (member === cell ? !shown.has(cell) : shown.has(member)));
    if (next.length) setState({ cells: next, chosen: true });
  };
  const buttons = members.map((cell) => h("button", { type: "button", id: `cell-${cell.name}`, "aria-pressed": String(shown.has(cell)), click: () => toggle(cell) }, icon(cell.ordering), ` ${cell.label}`));
  return h("div", { class: "cell-choice" }, pick, h("div", { role: "group", "aria-label": "Cells shown" }, buttons));
}

function pairChip() {
  if (!state.pair) return h("span", { hidden: true });
  const [first, second, metric, outcome] = state.pair.split(",");
  const names = [first, second].map((name) => cellByName.get(name)?.label || name);
  return h("button", { type: "button", name: "pair", click: () => setState({ pair: "" }) }, `${metric}: ${names[0]} ${outcome} against ${names[1]} ✕`);
}

filterPlace.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("pair-choice").addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("popstate", route);
route();
