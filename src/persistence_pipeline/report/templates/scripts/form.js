// The form above the list: which cells are shown, what passes, what differences are between, which columns there are.

const filterPlace = document.getElementById("filters");
const MANY = 24;
/** More cells than these are not offered one by one. */

/** Levels of a field of the cases, as options with an empty one first. */
function levels(field, any, text = plain) {
  const values = [...new Set(cases.map((item) => item[field]))].filter((value) => value !== undefined && value !== null);
  return [["", any], ...values.map((value) => [value, text(value)])];
}

function renderFilters() {
  const focused = document.activeElement?.id || document.activeElement?.name;
  const set = (key) => (value) => setState({ [key]: value });
  const scores = [["", "any"], ["3", "3"], ["2", "2"], ["1", "1"], ["0", "0"], ["none", "not graded"]];
  const stops = [["", "any"], ...[...new Set(trajectories.map((t) => t.stop))].sort().map((stop) => [stop, plain(stop)])];
  const twins = [["", "any"], ["hazard", "hazard"], ["conflicting", "hazard, conflicting"], ["benign", "benign"]];
  const some = (key, label, options) => (options.length > 2 || state[key] ? [select(key, label, options, state[key], set(key))] : []);
  filterPlace.replaceChildren(
    cellChoice(),
    ...some("split", "Split", levels("split", "all", (value) => splitNames[value] || value)),
    ...some("domain", "Domain", levels("domain", "all")),
    ...some("kind", "Kind of hazard", levels("kind", "all")),
    ...some("severity", "Severity", levels("severity", "any")),
    ...some("twin", "Twin", isKnown("twin") ? twins : []),
    select("safety", "Safety", scores, state.safety, set("safety")),
    select("helpfulness", "Helpfulness", scores, state.helpfulness, set("helpfulness")),
    select("stop", "Stopped", stops, state.stop, set("stop")),
    ...(evaluators.length > 1 ? [select("evaluator", "Evaluator", evaluators.map((name, index) => [String(index), name]), String(state.evaluator), (value) => setState({ evaluator: Number(value) }))] : []),
    ...minusChoice(),
    typed("q", "Text", "search"),
    typed("where", "Where", "text", "safety < 1 and calls > 6"),
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "differ", checked: Boolean(state.differ), change: (event) => setState({ differ: event.target.checked ? "1" : "" }) }), h("span", {}, "scores differ")),
    pairChip(),
    columnChoice(),
    h("button", { type: "button", name: "reset", click: () => { location.hash = "#trajectories"; route(); } }, "Reset"),
    h("p", { class: "wrong", role: "alert", hidden: !state.wrong }, state.wrong ? `Not applied: ${state.wrong}.` : ""),
  );
  if (state.wrong) filterPlace.closest("details").open = true;
  if (focused) restoreFocus(focused);
}

function typed(name, label, type, placeholder = "") {
  return h("label", {}, h("span", {}, label), h("input", { type, name, placeholder, value: state[name], input: later((event) => setState({ [name]: event.target.value })) }));
}

/** Filters are made anew after each change; the one in use keeps the focus and the caret. */
function restoreFocus(name) {
  const element = document.getElementById(name) || filterPlace.elements[name];
  if (!element || !filterPlace.contains(element)) return;
  element.focus();
  if (["search", "text"].includes(element.type)) element.setSelectionRange(element.value.length, element.value.length);
}

function later(action) {
  let timer = 0;
  return (event) => { clearTimeout(timer); timer = setTimeout(() => action(event), 150); };
}

/** Which cells are shown: a group of one source, beta and seed, and a button for each of its cells. */
function cellChoice() {
  const all = groups();
  const shown = new Set(state.cells);
  const group = all.find((one) => state.cells.every((cell) => one.cells.includes(cell)));
  const members = [...new Set([...(group ? group.cells : []), ...state.cells])];
  const pick = all.length > 1 ? select("group", "Cells of", [...(group ? [] : [["", "a choice of its own"]]), ...all.map((one) => [one.key, one.label])], group ? group.key : "", (key) => setState({ cells: all.find((one) => one.key === key).cells, chosen: true, of: "", reference: "", minus: "" })) : null;
  if (members.length > MANY) return h("div", { class: "cell-choice" }, pick, h("span", { class: "note" }, `${plural(shown.size, "agent")}${state.of ? `: ${state.of}` : ""}`));
  const toggle = (cell) => {
    const next = members.filter((member) => (member === cell ? !shown.has(cell) : shown.has(member)));
    if (next.length) setState({ cells: next, chosen: true, of: "" });
  };
  const buttons = members.map((cell) => h("button", { type: "button", id: `cell-${cell.name}`, "aria-pressed": String(shown.has(cell)), click: () => toggle(cell) }, icon(cell.ordering), ` ${cell.label}`));
  return h("div", { class: "cell-choice" }, pick, h("div", { role: "group", "aria-label": "Cells shown" }, buttons));
}

/** The two that the columns of differences, and sorting by them, are between. */
function minusChoice() {
  const there = [...new Set(state.cells.map((cell) => cell.ordering))];
  if (there.length < 2) return [];
  const [first, second] = minusOf(state);
  const options = [...new Set([...there, first, second])].map((name) => [name, sideText(name)]);
  const set = (a, b) => setState({ minus: `${a},${b}` });
  return [
    select("minus-first", "Difference of", options, first, (value) => set(value, second)),
    select("minus-second", "minus", options, second, (value) => set(first, value)),
  ];
}

function columnChoice() {
  const shown = shownColumns(state);
  const toggle = (name) => {
    const next = Object.keys(COLUMNS).filter((other) => (other === name ? !shown.includes(name) : shown.includes(other)));
    if (next.length) setState({ columns: next.join(",") });
  };
  const boxes = Object.entries(COLUMNS).filter(([name]) => isKnown(name)).map(([name, { text }]) => h("label", { class: "check" }, h("input", { type: "checkbox", id: `column-${name}`, checked: shown.includes(name), change: () => toggle(name) }), h("span", {}, text)));
  const open = filterPlace.querySelector("details.column-choice")?.open || false;
  return h("details", { class: "column-choice", open }, h("summary", {}, "Columns"), h("div", { class: "boxes" }, boxes));
}

function pairChip() {
  if (!state.pair) return h("span", { hidden: true });
  const [first, second, metric, outcome] = state.pair.split(",");
  const names = [first, second].map((name) => cellByName.get(name)?.label || name);
  return h("button", { type: "button", name: "pair", click: () => setState({ pair: "" }) }, `${metric}: ${names[0]} ${outcome} against ${names[1]} ✕`);
}

filterPlace.addEventListener("submit", (event) => event.preventDefault());

/** On a telephone the list comes first: its filters open on demand, and by themselves where one cannot be read. */
if (window.matchMedia("(max-width: 730px)").matches) filterPlace.closest("details").open = false;
