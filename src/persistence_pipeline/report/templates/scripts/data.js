// The study's trajectories as the views need them, unpacked from the compact document.

const looks = JSON.parse(document.getElementById("looks-data").textContent);
const splitNames = looks.splits;
let packed = null;
let cases = [];
let steps = [];
let texts = [];
let evaluators = [];
let cells = [];
let trajectories = [];
let byCase = [];
let further = [];
let factors = [];
let inGroup = [];
let stepTexts = [];
const cellByName = new Map();
const caseById = new Map();
const ORDER = Object.keys(looks.orderings);
const inOrder = (a, b) => ORDER.indexOf(a.ordering) - ORDER.indexOf(b.ordering) || a.index - b.index;

/** A document that the page holds compressed. */
async function unpacked(name) {
  const bytes = Uint8Array.from(atob(document.getElementById(`${name}-data`).textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

/** Reads the document of the trajectories; nothing of the views works before. */
async function loadStudy() {
  packed = await unpacked("browser");
  ({ cases, steps, texts, evaluators } = packed);
  further = Object.keys(packed.cells[0] || {}).filter((key) => key.startsWith("factor_"));
  inGroup = ["source", "beta", ...further, "seed"];
  const several = (key) => new Set(packed.cells.map((cell) => cell[key]).filter((value) => value !== null)).size > 1;
  factors = inGroup.filter(several);
  cells = packed.cells.map((cell, index) => ({ ...cell, index, label: cellLabel(cell) }));
  for (const cell of cells) cellByName.set(cell.name, cell);
  cases.forEach((item, index) => caseById.set(item.case_id, index));
  for (const item of cases) item.twin = twinOf(item);
  trajectories = packed.trajectories.map(([cell, of, sample, stop, calls, grades, facts], index) => ({
    index, cell, case: of, sample, stop: texts[stop], calls, grades, facts: packed.facts.values[facts] || [],
  }));
  byCase = cases.map(() => []);
  for (const trajectory of trajectories) byCase[trajectory.case].push(trajectory);
  stepTexts = steps.map(textOfStep);
}

/** What is searched of a step. */
function textOfStep(step) {
  return [step.text, callText(step), step.observation, ...(step.changes || [])].filter(Boolean).join("\n").toLowerCase();
}

function twinOf(item) {
  const twin = item.case_id.replace(/(hazard|benign)$/, (kind) => (kind === "hazard" ? "benign" : "hazard"));
  return twin === item.case_id ? undefined : caseById.get(twin); // ToolEmu's cases have none
}

/** A factor and its level in words. */
function levelText(cell, key) {
  return key === "source" ? cell.source : `${key.replace("factor_", "").replace(/[_.]/g, " ")} ${cell[key]}`;
}

/** The ordering, with the factors that vary in this study. */
function cellLabel(cell) {
  const levels = factors.filter((key) => cell[key] !== null).map((key) => levelText(cell, key));
  return [looks.orderings[cell.ordering].label, ...levels].join(", ");
}

/** The name of a trajectory, as in the score table. */
function idOf(t) {
  return `${cells[t.cell].name}/${cases[t.case].case_id}/${t.sample}`;
}

/** What is counted of a trajectory, by name; undefined where this study does not count it. */
function factOf(t, name) {
  return t.facts[packed.facts.names.indexOf(name)];
}

/**
 * Safety and helpfulness of a trajectory by an evaluator, the reasons as they are stored, and of each of their lines the
 * words, if it has any: what it was, what was wanted, what came. Nulls where it is not graded.
 */
function gradeOf(trajectory, evaluator) {
  const grade = trajectory.grades[evaluator];
  if (!grade) return { safety: null, helpfulness: null, reasons: "not graded", words: [] };
  return { safety: grade[0], helpfulness: grade[1], reasons: texts[grade[2]], words: (grade[3] || []).map((index) => packed.words[index]) };
}

/** Mean of a metric over the graded trajectories of a case in a cell; null where there is none. */
function caseMean(caseIndex, cell, metric, evaluator) {
  return meanOf(byCase[caseIndex].filter((t) => t.cell === cell).map((t) => gradeOf(t, evaluator)[metric]));
}

/** Mean of those that are not null; null where there is none. */
function meanOf(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}

/** A call as it is written: tool(argument, …), or the text of a turn that is not a call. */
function callText(step) {
  if (!step.tool) return step.text || "";
  const values = Object.values(step.arguments).map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  return `${step.tool}(${values.join(", ")})`;
}

/** The cells that are compared first: those of the first source, seed and level of every factor. */
function groups() {
  const byGroup = new Map();
  for (const cell of cells) {
    if (cell.ordering === "source") continue;
    const key = inGroup.map((name) => cell[name]).join("|");
    if (!byGroup.has(key)) byGroup.set(key, cells.filter((c) => isSourceOf(c, cell)));
    byGroup.get(key).push(cell);
  }
  return [...byGroup].map(([key, members]) => ({ key, cells: members.sort(inOrder), label: groupLabel(members[members.length - 1]) }));
}

/** Whether a cell is the source of another: of its place in whatever a source has a place in. */
function isSourceOf(c, cell) {
  return c.ordering === "source" && c.source === cell.source && c.seed === cell.seed && further.every((key) => c[key] === null || c[key] === cell[key]);
}

function groupLabel(cell) {
  return inGroup.map((name) => levelText(cell, name)).join(", ");
}
