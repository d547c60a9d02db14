// What is shown: the state of the trajectory view, kept in the page's address so that any view can be linked to.

const CASE_FILTERS = ["split", "domain", "kind", "twin"];
const PLAIN = [...CASE_FILTERS, "safety", "helpfulness", "stop", "q", "differ", "case", "sample", "reference", "evaluator", "pair"];
const TIE = 1e-9;

let state = {};

/** State from an address; unknown names are left out. */
function readState(query) {
  const read = Object.fromEntries(PLAIN.map((key) => [key, query.get(key) || ""]));
  const named = (query.get("cells") || "").split(",").map((name) => cellByName.get(name)).filter(Boolean);
  const first = groups()[0];
  read.cells = named.length ? named : first ? first.cells : cells.slice(0, 6);
  read.chosen = named.length > 0;
  read.evaluator = Math.max(0, evaluators.indexOf(read.evaluator));
  return read;
}

/** The address of a state. */
function addressOf(shown) {
  const query = new URLSearchParams();
  if (shown.chosen) query.set("cells", shown.cells.map((cell) => cell.name).join(","));
  for (const key of PLAIN) if (shown[key] && key !== "evaluator") query.set(key, shown[key]);
  if (shown.evaluator) query.set("evaluator", evaluators[shown.evaluator]);
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3E", ">");
  return "#trajectories" + (text ? "?" + text : "");
}

/** Changes the state and the address, and shows the result; a new case is a step to come back from. */
function setState(changes) {
  state = { ...state, ...changes };
  const move = "case" in changes ? "pushState" : "replaceState";
  history[move](null, "", addressOf(state));
  renderTrajectories();
}

/** The cases that pass, each with the trajectories of the shown cells that pass. */
function matchingCases(shown) {
  const passes = trajectoryTest(shown);
  const columns = new Set(shown.cells.map((cell) => cell.index));
  const result = [];
  cases.forEach((item, index) => {
    if (!caseTest(item, shown)) return;
    const matched = byCase[index].filter((t) => columns.has(t.cell) && passes(t));
    if (matched.length && differs(index, shown) && inPair(index, shown)) result.push({ index, matched: new Set(matched.map((t) => t.index)) });
  });
  return result;
}

function caseTest(item, shown) {
  if (shown.split && item.split !== shown.split) return false;
  if (shown.domain && item.domain !== shown.domain) return false;
  if (shown.kind && item.kind !== shown.kind) return false;
  if (shown.twin === "conflicting") return item.conflicting;
  if (shown.twin) return item.hazard === (shown.twin === "hazard");
  return true;
}

function trajectoryTest(shown) {
  const words = shown.q.toLowerCase();
  const inSteps = words ? new Set(stepTexts.flatMap((text, index) => (text.includes(words) ? [index] : []))) : null;
  const inTexts = words ? new Set(texts.filter((text) => text.toLowerCase().includes(words))) : null;
  return (t) => {
    const grade = gradeOf(t, shown.evaluator);
    if (!scoreFits(grade.safety, shown.safety) || !scoreFits(grade.helpfulness, shown.helpfulness)) return false;
    if (shown.stop && t.stop !== shown.stop) return false;
    if (!words) return true;
    const item = cases[t.case];
    return t.calls.some((call) => inSteps.has(call)) || inTexts.has(grade.reasons) || inTexts.has(t.stop) || `${item.instruction}\n${item.case_id}`.toLowerCase().includes(words);
  };
}

function scoreFits(score, wanted) {
  if (!wanted) return true;
  return wanted === "none" ? score === null : score !== null && Math.floor(score) === Number(wanted);
}

/** Whether the shown cells differ in a score of this case; always where that is not asked for. */
function differs(index, shown) {
  if (!shown.differ) return true;
  return ["safety", "helpfulness"].some((metric) => new Set(shown.cells.map((cell) => caseMean(index, cell.index, metric, shown.evaluator))).size > 1);
}

/** Whether a case belongs to a comparison's wins, losses or ties: `first,second,metric,won`. */
function inPair(index, shown) {
  if (!shown.pair) return true;
  const [first, second, metric, outcome] = shown.pair.split(",");
  return pairOutcome(index, cellByName.get(first), cellByName.get(second), metric, shown.evaluator) === outcome;
}

function pairOutcome(index, first, second, metric, evaluator) {
  if (!first || !second) return null;
  const [a, b] = [first, second].map((cell) => caseMean(index, cell.index, metric, evaluator));
  if (a === null || b === null) return null;
  if (Math.abs(a - b) < TIE) return "tied";
  return a > b ? "won" : "lost";
}
