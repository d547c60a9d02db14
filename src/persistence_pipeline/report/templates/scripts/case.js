// One case: what it is, and the trajectories of the shown cells in columns.

const casePlace = document.getElementById("case");

function renderCase(rows) {
  const index = caseById.get(state.case);
  if (index === undefined) {
    casePlace.replaceChildren(h("p", { class: "note" }, "Choose a case on the left to see its trajectories side by side."));
    return;
  }
  const at = rows.findIndex((row) => row.index === index);
  casePlace.replaceChildren(caseHead(index, at, rows.length), hiddenFacts(cases[index]), columnsOf(index));
}

function caseHead(index, at, n) {
  const item = cases[index];
  const place = at < 0 ? "not among the cases that pass the filters" : `case ${(at + 1).toLocaleString("en")} of ${n.toLocaleString("en")}`;
  const step = (by, text) => h("button", { type: "button", disabled: at < 0 || at + by < 0 || at + by >= n, click: () => choose(at + by) }, text);
  const twin = item.twin === undefined ? null : h("button", { type: "button", click: () => setState({ case: cases[item.twin].case_id }) }, `${item.hazard ? "Benign" : "Hazard"} twin`);
  return h(
    "div",
    { class: "case-head" },
    h("h2", {}, "“", item.instruction, "”"),
    h("p", { class: "note" }, `${item.domain} · ${plain(item.kind)} · ${twinText(item)} · ${item.severity ? `${item.severity} · ` : ""}${splitNames[item.split] || item.split} · seed ${item.seed} · `, h("code", {}, item.case_id)),
    h("div", { class: "buttons" }, step(-1, "Previous"), step(1, "Next"), twin, sampleChoice(index), h("button", { type: "button", click: copyLink }, "Copy link"), h("span", { class: "note", id: "copied", role: "status" }, place)),
  );
}

function samplesOf(index) {
  return [...new Set(byCase[index].map((t) => t.sample))].sort((a, b) => a - b);
}

function sampleChoice(index) {
  const samples = samplesOf(index);
  if (samples.length < 2) return null;
  const shown = shownSample(samples);
  return h("span", { role: "group", "aria-label": "Sample" }, samples.map((sample) => h("button", { type: "button", "aria-pressed": String(sample === shown), click: () => setState({ sample: String(sample) }) }, `sample ${sample}`)));
}

function shownSample(samples) {
  return samples.find((sample) => String(sample) === state.sample) ?? samples[0];
}

async function copyLink() {
  const told = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(location.href);
    told.textContent = "link copied";
  } catch {
    told.textContent = "the address bar holds the link";
  }
}

/** What the agent was not told: the state, the request in full, what a check would have shown. */
function hiddenFacts(item) {
  if (!item.state) return authorsNotes(item);
  const header = ["id", "type", "fields"].map((name) => h("th", { scope: "col" }, name));
  const rows = item.state.map((entity) => h("tr", {}, entity.map((value) => h("td", {}, value))));
  const facts = [
    ["asked for", item.goals.join("; ")],
    ["harm would be", item.harms.join("; ") || "none here"],
    ["blind without", item.guards.join("; ")],
    ["what mends it", item.safeguards.join(", ") || "–"],
    ["the user would answer", item.answers.join("; ") || "–"],
    ["changes by itself", item.events.join("; ") || "–"],
  ];
  return h(
    "details",
    {},
    h("summary", {}, "What the agent was not told"),
    h("dl", {}, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    h("table", {}, h("caption", { class: "note" }, "The world at the start"), h("thead", {}, h("tr", {}, header)), h("tbody", {}, rows)),
  );
}

/** Of a case whose tools a model plays: what its author says of it. */
function authorsNotes(item) {
  const facts = [["asked for", item.goals], ["what could go wrong", item.risks], ["what the request leaves open", item.left_open]];
  return h(
    "details",
    {},
    h("summary", {}, "What the author of the case says"),
    h("dl", {}, facts.map(([name, texts]) => [h("dt", {}, name), texts.map((text) => h("dd", {}, text))])),
  );
}

function columnsOf(index) {
  const sample = shownSample(samplesOf(index));
  const columns = state.cells.map((cell) => ({ cell, played: byCase[index].find((t) => t.cell === cell.index && t.sample === sample) })).filter(({ played }) => played);
  if (!columns.length) return h("p", {}, "The shown cells did not play this case (another seed).");
  const reference = Math.max(0, columns.findIndex(({ cell }) => cell.name === state.reference));
  const calls = columns.map(({ played }) => played.calls.map((call) => callText(steps[call])));
  const lines = align(calls, reference);
  const firsts = firstDifferences(lines, calls, reference);
  const body = lines.map((line, at) => h("tr", {}, columns.map(({ played }, column) => callCell(line[column] === null ? null : steps[played.calls[line[column]]], at, firsts[column]))));
  return scrolling("Trajectories side by side", h(
    "table",
    { class: "columns" },
    h("caption", { class: "note" }, "Equal calls stand in one line. Marked: where a trajectory leaves the reference for the first time."),
    h("thead", {}, h("tr", {}, columns.map((column, at) => columnHead(column, at === reference)))),
    h("tbody", {}, body),
    h("tfoot", {}, h("tr", {}, columns.map(({ played }) => gradeCell(played)))),
  ));
}

function columnHead({ cell, played }, isReference) {
  const grade = gradeOf(played, state.evaluator);
  const button = h("button", { type: "button", class: "small", "aria-pressed": String(isReference), "aria-label": `compare with ${cell.label}`, click: () => setState({ reference: cell.name }) }, isReference ? "reference" : "compare with");
  return h("th", { scope: "col" }, h("div", { class: "cell-name" }, icon(cell.ordering), " ", cell.label), h("div", { class: "grades" }, badge("safety", grade.safety), badge("helpfulness", grade.helpfulness)), button);
}

function badge(metric, value) {
  const level = value === null ? "none" : Math.floor(value);
  return h("span", { class: `badge level-${level}` }, `${metric} ${score(value)}`);
}

/** A call with its observation and its effect, marked where it is the first to differ from the reference. */
function callCell(step, line, first) {
  const place = first >= 0 && line === first ? "leaves" : first >= 0 && line > first ? "later" : "";
  const mark = place === "leaves" ? h("div", { class: "first-difference" }, "first difference") : null;
  if (!step) return h("td", { class: `${place} empty` }, mark, h("span", { "aria-label": "no call" }, "–"));
  return h("td", { class: place }, mark, writtenPart(step), observationPart(step), effectPart(step));
}

function writtenPart(step) {
  const said = step.tool && step.text ? h("div", { class: "said" }, step.text) : null;
  if (step.tool) {
    const text = callText(step);
    return [said, h("code", { class: "call" }, h("span", {}, step.tool), h("wbr"), h("span", {}, text.slice(step.tool.length)))];
  }
  const who = step.role ? `${step.role}: ` : "not a call: ";
  return [h("div", { class: step.role ? "said" : "said invalid" }, h("span", { class: "who" }, who), step.text || "(nothing)")];
}

function observationPart(step) {
  return step.observation === undefined ? null : h("div", { class: "observation" }, "→ ", step.observation);
}

function effectPart(step) {
  if (!step.changes) return null;
  const knew = Object.entries(step.knew || {}).map(([fact, value]) => `${fact} = ${value}`);
  const told = knew.length ? `knowing ${knew.join(", ")}` : "knowing nothing that matters";
  return h("div", { class: "effect" }, step.changes.map((change) => h("div", {}, "changed ", change)), h("div", { class: "told" }, told));
}

function gradeCell(played) {
  const own = evaluators.map((name, evaluator) => {
    const grade = gradeOf(played, evaluator);
    const reasons = grade.reasons ? grade.reasons.split("\n") : ["no point lost"];
    return [evaluators.length > 1 ? h("div", { class: "who" }, `${name}: safety ${score(grade.safety)}, helpfulness ${score(grade.helpfulness)}`) : null, h("ul", {}, reasons.map((reason) => h("li", {}, reason)))];
  });
  return h("td", {}, h("div", { class: "who" }, `stopped: ${plain(played.stop)}`), own);
}
