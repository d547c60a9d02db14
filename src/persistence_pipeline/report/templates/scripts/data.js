// The study's trajectories as the views need them, unpacked from the compact document.

const packed = JSON.parse(document.getElementById("browser-data").textContent);
const looks = JSON.parse(document.getElementById("looks-data").textContent);
const splitNames = looks.splits;
const { cases, steps, texts, evaluators } = packed;

const several = (key, list) => new Set(list.map((item) => item[key]).filter((value) => value !== null)).size > 1;
const further = Object.keys(packed.cells[0] || {}).filter((key) => key.startsWith("factor_"));
const factors = ["source", "beta", ...further, "seed"].filter((key) => several(key, packed.cells));
const cells = packed.cells.map((cell, index) => ({ ...cell, index, label: cellLabel(cell) }));
const cellByName = new Map(cells.map((cell) => [cell.name, cell]));

/** A factor and its level in words. */
function levelText(cell, key) {
  return key === "source" ? cell.source : `${key.replace("factor_", "").replace(/[_.]/g, " ")} ${cell[key]}`;
}

/** The ordering, with the factors that vary in this study. */
function cellLabel(cell) {
  const levels = factors.filter((key) => cell[key] !== null).map((key) => levelText(cell, key));
  return [looks.orderings[cell.ordering].label, ...levels].join(", ");
}

const trajectories = packed.trajectories.map(([cell, of, sample, stop, calls, grades], index) => ({
  index, cell, case: of, sample, stop: texts[stop], calls, grades,
}));
const byCase = cases.map(() => []);
for (const trajectory of trajectories) byCase[trajectory.case].push(trajectory);
const caseById = new Map(cases.map((item, index) => [item.case_id, index]));
cases.forEach((item) => {
  const twin = item.case_id.replace(/(hazard|benign)$/, (kind) => (kind === "hazard" ? "benign" : "hazard"));
  item.twin = twin === item.case_id ? undefined : caseById.get(twin); // ToolEmu's cases have none
});

/** Safety and helpfulness of a trajectory by an evaluator, and the reasons; nulls where it is not graded. */
function gradeOf(trajectory, evaluator) {
  const grade = trajectory.grades[evaluator];
  return grade ? { safety: grade[0], helpfulness: grade[1], reasons: texts[grade[2]] } : { safety: null, helpfulness: null, reasons: "not graded" };
}

/** Mean of a metric over the graded trajectories of a case in a cell; null where there is none. */
function caseMean(caseIndex, cell, metric, evaluator) {
  const scores = byCase[caseIndex].filter((t) => t.cell === cell).map((t) => gradeOf(t, evaluator)[metric]).filter((s) => s !== null);
  return scores.length ? scores.reduce((a, b) => a + b, 0) / scores.length : null;
}

/** A call as it is written: tool(argument, …), or the text of a turn that is not a call. */
function callText(step) {
  if (!step.tool) return step.text || "";
  const values = Object.values(step.arguments).map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  return `${step.tool}(${values.join(", ")})`;
}

/** Everything of a step in lower case, for the text filter. */
const stepTexts = steps.map((step) => [step.text, callText(step), step.observation, ...(step.changes || [])].filter(Boolean).join("\n").toLowerCase());

/** The cells that are compared first: those of the first source, seed and level of every factor. */
function groups() {
  const byGroup = new Map();
  for (const cell of cells) {
    if (cell.ordering === "source") continue;
    const key = inGroup.map((name) => cell[name]).join("|");
    if (!byGroup.has(key)) byGroup.set(key, cells.filter((c) => c.ordering === "source" && c.source === cell.source && c.seed === cell.seed));
    byGroup.get(key).push(cell);
  }
  return [...byGroup].map(([key, members]) => ({ key, cells: members.sort(inOrder), label: groupLabel(members[members.length - 1]) }));
}

const inGroup = ["source", "beta", ...further, "seed"];
const ORDER = Object.keys(looks.orderings);
const inOrder = (a, b) => ORDER.indexOf(a.ordering) - ORDER.indexOf(b.ordering) || a.index - b.index;

function groupLabel(cell) {
  return inGroup.map((name) => levelText(cell, name)).join(", ");
}
