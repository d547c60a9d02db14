// What is shown: the state of the trajectory view, kept in the page's address so that any view can be linked to.

const CASE_FILTERS = ["split", "domain", "kind", "severity", "twin"];
const PLAIN = ["of", ...CASE_FILTERS, "safety", "helpfulness", "stop", "q", "where", "differ", "minus", "sort", "columns", "case", "sample", "agent", "beside", "reference", "evaluator", "pair"];
const TIE = 1e-9;

let state = {};

/** State from an address: cells by name, or by an expression (`of`); unknown names are left out. */
function readState(query) {
  const read = Object.fromEntries(PLAIN.map((key) => [key, query.get(key) || ""]));
  const named = (query.get("cells") || "").split(",").map((name) => cellByName.get(name)).filter(Boolean);
  const asked = named.length || !read.of ? named : cells.filter(readTest(read, read.of, cellNames()));
  const first = groups()[0];
  read.cells = asked.length ? asked : first ? first.cells : cells.slice(0, 6);
  read.chosen = named.length > 0;
  if (named.length || !asked.length) read.of = "";
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

/** The trajectories of the shown cells that pass, sorted. */
function matchingTrajectories(shown) {
  const passes = trajectoryTest(shown);
  const columns = new Set(shown.cells.map((cell) => cell.index));
  const result = cases.flatMap((item, index) => {
    if (!caseTest(item, shown)) return [];
    const matched = byCase[index].filter((t) => columns.has(t.cell) && passes(t));
    return matched.length && differs(index, shown) && inPair(index, shown) ? matched : [];
  });
  return sorted(result, shown);
}

function caseTest(item, shown) {
  for (const key of ["split", "domain", "kind", "severity"]) if (shown[key] && item[key] !== shown[key]) return false;
  if (shown.twin === "conflicting") return item.conflicting;
  if (shown.twin) return item.hazard === (shown.twin === "hazard");
  return true;
}

function trajectoryTest(shown) {
  const fits = textTest(shown.q.toLowerCase(), shown);
  const holds = readTest(shown, shown.where, expressionNames(shown));
  return (t) => {
    const grade = gradeOf(t, shown.evaluator);
    if (!scoreFits(grade.safety, shown.safety) || !scoreFits(grade.helpfulness, shown.helpfulness)) return false;
    return (!shown.stop || t.stop === shown.stop) && fits(t) && holds(t);
  };
}

function textTest(words, shown) {
  if (!words) return () => true;
  const inSteps = new Set(stepTexts.flatMap((text, index) => (text.includes(words) ? [index] : [])));
  const inTexts = new Set(texts.filter((text) => text.toLowerCase().includes(words)));
  const inWords = new Set(packed.words.flatMap((parts, index) => (parts.join("\n").toLowerCase().includes(words) ? [index] : [])));
  return (t) => {
    const item = cases[t.case];
    return t.calls.some((call) => inSteps.has(call)) || inTexts.has(gradeOf(t, shown.evaluator).reasons) || t.grades[shown.evaluator]?.[3]?.some((line) => inWords.has(line)) || inTexts.has(t.stop) || `${item.instruction}\n${item.case_id}`.toLowerCase().includes(words);
  };
}

/** An expression as a test; what is wrong with it is kept for the form, and then all pass. */
function readTest(shown, text, names) {
  shown.wrong = "";
  try {
    return expressionTest(text, names);
  } catch (error) {
    shown.wrong = error.message;
    return () => true;
  }
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

/**
 * The two that differences are between, each a cell or an ordering: as asked for, else S>H and S, else the first two; of
 * one ordering alone, it and what it was trained from.
 */
function minusOf(shown) {
  if (shown.minus) return shown.minus.split(",");
  const there = [...new Set(shown.cells.map((cell) => cell.ordering))];
  const usual = ["safety>helpfulness", "safety"];
  if (usual.every((name) => there.includes(name))) return usual;
  return there.length === 1 ? [there[0], parentOf(there[0])] : there.slice(0, 2).reverse();
}

/** The shown cells of an ordering; where none is shown, those of the shown cells' groups. */
function cellsOf(ordering, shown) {
  const own = shown.cells.filter((cell) => cell.ordering === ordering);
  return own.length ? own : [...new Set(shown.cells.flatMap(groupOf))].filter((cell) => cell.ordering === ordering);
}

/** By case the difference in a metric between the two of `minusOf`, over the shown cells; null where one has no score. */
function gapTest(shown, metric) {
  const sides = minusOf(shown).map((name) => (cellByName.has(name) ? [cellByName.get(name)] : cellsOf(name, shown)));
  const known = new Map();
  return (t) => {
    if (!known.has(t.case)) {
      const [a, b] = sides.map((side) => meanOf(side.map((cell) => caseMean(t.case, cell.index, metric, shown.evaluator))));
      known.set(t.case, a === null || b === null || b === undefined ? null : a - b);
    }
    return known.get(t.case);
  };
}
