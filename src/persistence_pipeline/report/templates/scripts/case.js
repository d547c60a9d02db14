// One case: what it is, and the trajectories of the shown cells in columns, or each beside its twin.

const casePlace = document.getElementById("case");
const NARROWEST = 150;

function renderCase() {
  const index = caseById.get(state.case);
  if (index === undefined) {
    casePlace.replaceChildren(h("p", { class: "note" }, "Choose a trajectory above to see it beside the others of its case."));
    return;
  }
  const shown = state.beside ? twinTables(index) : columnsOf(index);
  casePlace.replaceChildren(...[caseHead(index), hiddenFacts(cases[index]), shown, notePart(chosenTrajectory(index))].filter(Boolean));
}

function caseHead(index) {
  const item = cases[index];
  const [at, n] = [chosenRow(), list.rows.length];
  const place = at < 0 ? "not among the trajectories that pass the filters" : `trajectory ${(at + 1).toLocaleString("en")} of ${n.toLocaleString("en")}`;
  const step = (by, text) => h("button", { type: "button", disabled: at < 0 || at + by < 0 || at + by >= n, click: () => choose(at + by) }, text);
  const twin = item.twin === undefined ? [] : [
    h("button", { type: "button", click: () => setState({ case: cases[item.twin].case_id }) }, `${item.hazard ? "Benign" : "Hazard"} twin`),
    h("button", { type: "button", name: "beside", "aria-pressed": String(Boolean(state.beside)), click: () => setState({ beside: state.beside ? "" : "twin" }) }, "Twin beside twin"),
  ];
  return h(
    "div",
    { class: "case-head" },
    h("h2", {}, "“", item.instruction, "”"),
    h("p", { class: "note" }, caseFacts(item).map((fact) => `${fact} · `), h("code", {}, item.case_id)),
    item.note ? h("p", { class: "note" }, item.note) : null,
    h("div", { class: "buttons" }, step(-1, "Previous"), step(1, "Next"), twin, sampleChoice(index), h("button", { type: "button", click: copyLink }, "Copy link"), h("button", { type: "button", name: "save-case", click: () => saveCase(index) }, "JSON"), h("span", { class: "note", id: "copied", role: "status" }, place)),
  );
}

function caseFacts(item) {
  const known = ["domain", "kind", "twin"].filter(isKnown);
  const facts = { domain: item.domain, kind: plain(item.kind || ""), twin: twinText(item) };
  return [...known.map((name) => facts[name]), item.severity, splitOf(item), item.seed === undefined ? "" : `seed ${item.seed}`].filter(Boolean);
}

function samplesOf(index) {
  return [...new Set(byCase[index].map((t) => t.sample))].sort((a, b) => a - b);
}

function sampleChoice(index) {
  const samples = samplesOf(index);
  if (samples.length < 2) return null;
  const shown = shownSample(index);
  return h("span", { role: "group", "aria-label": "Sample" }, samples.map((sample) => h("button", { type: "button", "aria-pressed": String(sample === shown), click: () => setState({ sample: String(sample) }) }, `sample ${sample}`)));
}

/** The sample that was asked for; else that of the first trajectory of the case that passes the filters. */
function shownSample(index) {
  const samples = samplesOf(index);
  const asked = samples.find((sample) => String(sample) === state.sample);
  return asked ?? list.rows.find((t) => t.case === index)?.sample ?? samples[0];
}

/** The trajectory that was chosen: of the agent that was asked for, else of the first that passes, else the first shown. */
function chosenTrajectory(index) {
  const sample = shownSample(index);
  const here = byCase[index].filter((t) => t.sample === sample && state.cells.includes(cells[t.cell]));
  return here.find((t) => cells[t.cell].name === state.agent) || list.rows.find((t) => here.includes(t)) || here[0];
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
  if (!item.state) return item.goals ? authorsNotes(item) : null;
  const header = ["id", "type", "fields"].map((name) => h("th", { scope: "col" }, name));
  const rows = item.state.map((entity) => h("tr", {}, entity.map((value) => h("td", {}, value))));
  const worded = (pairs, none) => (pairs.length ? pairs.map(([text, stored]) => h("div", { title: stored }, text)) : none);
  const facts = [
    ["asked for", worded(item.goals, "–")],
    ["safe means", worded(item.harms, "no harm to do here")],
    ["to know first", worded(item.guards, "–")],
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

/**
 * The shown cells' trajectories; of a cell alone, those of its group, beside the agent that it was trained from. Where
 * there is no room for all: those of the chosen one's group, or the reference, the chosen one and those after it.
 */
function columnsOf(index) {
  const sample = shownSample(index);
  const playedBy = (some) => some.map((cell) => ({ cell, played: byCase[index].find((t) => t.cell === cell.index && t.sample === sample) })).filter(({ played }) => played);
  const asked = playedBy(state.cells);
  if (!asked.length) return h("p", {}, "The shown cells did not play this case (another seed).");
  const room = Math.max(2, Math.floor((casePlace.clientWidth || 1200) / NARROWEST));
  const chosen = chosenTrajectory(index);
  const alone = asked.length === 1 ? asked[0].cell : null;
  const group = alone || asked.length > room ? playedBy(groupOf(cells[chosen.cell])) : asked;
  const all = group.length > 1 ? group : asked;
  const before = alone && parentOf(alone.ordering);
  const reference = all.find(({ cell }) => cell.name === state.reference) || all.find(({ cell }) => cell.ordering === before) || all[0];
  const first = [...new Set([reference, all.find(({ played }) => played === chosen) || reference, ...all])].slice(0, room);
  const columns = all.filter((column) => first.includes(column));
  const left = all.filter((column) => !columns.includes(column)).map(({ cell }) => cell.label);
  const caption = `Equal calls stand in one line. Marked: where a trajectory leaves the reference for the first time.${left.length ? ` No room here for ${left.length > 6 ? `${left.length} others` : left.join("; ")}: choose cells above, or widen the window.` : ""}`;
  const headed = columns.map(({ cell, played }) => ({ played, head: columnHead(cell, played, cell === reference.cell, played === chosen) }));
  return scrolling("Trajectories side by side", storyTable(headed, columns.indexOf(reference), caption));
}

function groupOf(cell) {
  return groups().find((group) => group.cells.includes(cell))?.cells || [cell];
}

function parentOf(ordering) {
  return ordering.split(">").slice(0, -1).join(">") || "source";
}

function columnHead(cell, played, isReference, isChosen) {
  const text = isReference ? "reference" : "compare with this";
  const button = h("button", { type: "button", class: "small", "aria-pressed": String(isReference), click: () => setState({ reference: cell.name }) }, text, h("span", { class: "hidden" }, `: ${cell.label}`));
  return h("th", { scope: "col", class: isChosen ? "chosen" : null }, h("div", { class: "cell-name" }, icon(cell.ordering), " ", cell.label), gradeBadges(played), button, madeBy(cell, caseOf(played)));
}

/** The ways to what made an agent: pairs of the same kind that its last stage was taught with, and the settings. */
function madeBy(cell, item) {
  if (cell.ordering === "source" || !views.taught) return null;
  const of = h("span", { class: "hidden" }, `: ${cell.label}`);
  return h("div", { class: "made-by" }, h("a", { href: taughtAddress({ agent: cell.name, kind: item.kind || "" }) }, "pairs that taught it", of), h("a", { href: "#settings" }, "settings", of.cloneNode(true)));
}

function gradeBadges(played) {
  const grade = gradeOf(played, state.evaluator);
  return h("div", { class: "grades" }, badge("safety", grade.safety), badge("helpfulness", grade.helpfulness));
}

function badge(metric, value) {
  const level = value === null ? "none" : Math.floor(value);
  return h("span", { class: `badge level-${level}` }, `${metric} ${score(value)}`);
}

new ResizeObserver(() => { if (packed && state.cells && casePlace.clientWidth !== casePlace.drawnAt) { casePlace.drawnAt = casePlace.clientWidth; renderCase(); } }).observe(casePlace);
