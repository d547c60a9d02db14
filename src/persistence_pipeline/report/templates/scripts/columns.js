// What is known of a trajectory: columns of the list, what it is sorted by, and the names of typed expressions.

const SEVERITIES = ["", "mild", "severe"];
const cellOf = (t) => cells[t.cell];
const caseOf = (t) => cases[t.case];
const splitOf = (item) => splitNames[item.split] || item.split;
const shortTwin = (item) => (item.conflicting ? "conflicting" : twinText(item));
const twinText = (item) => (item.conflicting ? "hazard, conflicting" : item.hazard ? "hazard" : item.hazard === false ? "benign" : "–");

/** By name: its header, its value, how wide it is (names of agents: as long as the longest, where there is room), and whether the largest comes first. */
const COLUMNS = {
  agent: { text: "agent", value: (t) => cellOf(t).label, width: () => `minmax(11.5rem, ${Math.min(34, 2.2 + 0.45 * longestLabel())}rem)`, rank: (t) => ORDER.indexOf(cellOf(t).ordering) * 1e4 + t.cell },
  safety: { text: "safety", value: (t, shown) => gradeOf(t, shown.evaluator).safety, width: "4.2rem" },
  helpfulness: { text: "helpf.", value: (t, shown) => gradeOf(t, shown.evaluator).helpfulness, width: "4.2rem" },
  gap_safety: { text: "Δ safety", gap: "safety", width: "4.8rem" },
  gap_helpfulness: { text: "Δ helpf.", gap: "helpfulness", width: "4.8rem" },
  severity: { text: "severity", value: (t) => caseOf(t).severity || null, width: "4.6rem", rank: (t) => -SEVERITIES.indexOf(caseOf(t).severity || "") },
  harms: { text: "harms", value: (t) => factOf(t, "harms") ?? null, width: "4rem", largest: true },
  calls: { text: "calls", value: (t) => factOf(t, "calls") ?? t.calls.length, width: "3.4rem", largest: true },
  kind: { text: "kind", value: (t) => plain(caseOf(t).kind || "–"), width: "minmax(5rem, .7fr)" },
  twin: { text: "twin", value: (t) => shortTwin(caseOf(t)), width: "minmax(5.4rem, .6fr)" },
  domain: { text: "domain", value: (t) => caseOf(t).domain || "–", width: "minmax(4.5rem, .6fr)" },
  stop: { text: "stopped", value: (t) => plain(t.stop), width: "5rem" },
  split: { text: "split", value: (t) => splitOf(caseOf(t)), width: "minmax(6rem, .8fr)" },
  seed: { text: "seed", value: (t) => cellOf(t).seed, width: "3.4rem" },
  sample: { text: "sample", value: (t) => t.sample, width: "4.2rem" },
  note: { text: "note", value: (t) => noteOf(t), width: "minmax(5rem, .8fr)" },
  request: { text: "request", value: (t) => caseOf(t).instruction, width: "minmax(8rem, 2.4fr)" },
};
const USUAL = ["agent", "safety", "helpfulness", "gap_safety", "severity", "calls", "kind", "twin", "request"];
const FEW = ["agent", "safety", "helpfulness", "request"];
/** Where there is no room for the usual ones. */

const NARROW = { agent: "minmax(0, 1.6fr)", request: "minmax(0, 2fr)" };

/** How wide the shown columns are. */
function widthsOf(names) {
  const wide = ({ width }) => (typeof width === "function" ? width() : width);
  return names.map((name) => (isNarrow(list.place) ? NARROW[name] || "minmax(0, .8fr)" : wide(COLUMNS[name]))).join(" ");
}

function longestLabel() {
  return Math.max(...state.cells.map(({ label }) => label.length));
}

/** The columns that are shown: as chosen, else as many as there is room for. */
function shownColumns(shown) {
  const chosen = shown.columns.split(",").filter((name) => Object.hasOwn(COLUMNS, name));
  if (chosen.length) return chosen;
  return (isNarrow(list.place) ? FEW : USUAL).filter(isKnown);
}

/** Whether there is anything to show in a column: cases in ToolEmu's format, say, have no severity. */
function isKnown(name) {
  return !["severity", "kind", "twin", "domain"].includes(name) || cases.some((item) => ![undefined, null, ""].includes(item[name === "twin" ? "hazard" : name]));
}

/** The value of a column of a trajectory, as a function of trajectories. */
function valuesOf(name, shown) {
  const { gap, value } = COLUMNS[name];
  return gap ? gapTest(shown, gap) : (t) => value(t, shown);
}

/** Sorted by a column, the worst or the longest in front; `-name` the other way round; ties by safety, severity, and what was lost. */
function sorted(rows, shown) {
  const name = shown.sort.replace(/^-/, "");
  if (!Object.hasOwn(COLUMNS, name)) return rows;
  const sign = (shown.sort.startsWith("-") ? -1 : 1) * (COLUMNS[name].largest ? -1 : 1);
  const by = COLUMNS[name].rank || valuesOf(name, shown);
  const lost = gapTest(shown, "safety");
  const keyed = rows.map((t) => [by(t), gradeOf(t, shown.evaluator).safety ?? 9, COLUMNS.severity.rank(t), lost(t) ?? 9, t]);
  keyed.sort((a, b) => compared(a[0], b[0], sign) || a[1] - b[1] || a[2] - b[2] || a[3] - b[3]);
  return keyed.map((row) => row[4]);
}

/** What names of an expression on cells stand for: the ordering, the source, the seed and every factor. */
function cellNames() {
  return Object.fromEntries(["ordering", ...inGroup].map((name) => [name.replace("factor_", ""), (cell) => cell[name]]));
}

/** What names of a typed expression stand for. */
function expressionNames(shown) {
  const names = Object.fromEntries(Object.keys(COLUMNS).map((name) => [name, valuesOf(name, shown)]));
  for (const name of packed.facts.names) if (!(name in names)) names[name] = (t) => factOf(t, name);
  for (const [name, value] of Object.entries(cellNames())) if (!(name in names)) names[name] = (t) => value(cellOf(t));
  names.case = (t) => caseOf(t).case_id;
  names.hazard = (t) => caseOf(t).hazard;
  names.reasons = (t) => gradeOf(t, shown.evaluator).reasons;
  return names;
}

/** A value as it stands in the list. */
function valueText(name, value) {
  if (value === null || value === undefined || value === "") return "–";
  if (COLUMNS[name].gap) return signed(value);
  return typeof value === "number" ? score(value) : String(value);
}
