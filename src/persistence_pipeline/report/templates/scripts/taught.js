// The pairs that a stage was taught with: the prompt, chosen beside rejected, and what of them the loss scored.

const lessons = windowedList({ place: document.getElementById("taught-list"), id: "pair", element: pairRowParts, chosen: () => lessons.rows.findIndex((pair) => pair.at === asked.pair), choose: choosePair });
views.taught = showTaught;
const LESSON = { kind: "minmax(4rem, .8fr)", twin: "minmax(4rem, .6fr)", domain: "minmax(4rem, .6fr)", chosen: "minmax(4.4rem, .5fr)", rejected: "minmax(4.4rem, .5fr)", request: "minmax(6rem, 2.4fr)" };
const LESSON_NARROW = { kind: "minmax(0, 1.1fr)", chosen: "3.6rem", rejected: "3.6rem", request: "minmax(0, 1.6fr)" };
let asked = {};
let reading = null;
let limits = {};
/** By agent, the tokens after which its last stage cut, where it is known what it cut. */

/** The document of the pairs, once; its steps, texts and words are numbered after those of the trajectories. */
async function readPairs() {
  const read = await unpacked("taught");
  const [step, text, word] = [steps.length, texts.length, packed.words.length];
  steps.push(...read.steps);
  texts.push(...read.texts);
  packed.words.push(...read.words);
  stepTexts.push(...read.steps.map(textOfStep));
  for (const item of read.cases) item.prompt = item.prompt.map((index) => index + step);
  const after = ([safety, helpfulness, reasons, lines = []]) => [safety, helpfulness, reasons + text, lines.map((line) => (line === null ? null : line + word))];
  const sides = read.sides.map(([of, calls, grade, tokens]) => ({
    item: read.cases[of],
    calls: calls.map((call) => call + step),
    grade: grade && after(grade),
    tokens,
  }));
  limits = read.limits;
  return read.sets.map((set) => ({ ...set, pairs: set.pairs.map(([chosen, rejected], at) => ({ at, item: sides[chosen].item, chosen: sides[chosen], rejected: sides[rejected] })) }));
}

function taughtAddress({ agent, stage, kind, q, cut, pair }) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ agent, stage, kind, q, cut, pair })) if (value !== undefined && value !== "" && value !== -1) query.set(name, value);
  return `#taught?${query}`;
}

async function showTaught(query) {
  const sets = await (reading ??= readPairs());
  if (!state.cells) state = readState(new URLSearchParams());
  const trained = cells.filter((cell) => cell.ordering !== "source");
  const agent = trained.find((cell) => cell.name === query.get("agent")) || trained[0];
  const stages = agent ? agent.ordering.split(">") : [];
  const stage = Number(query.get("stage") ?? stages.length - 1);
  const source = agent && cells.find((cell) => isSourceOf(cell, agent));
  const set = sets.find((one) => one.source === source?.name && one.objective === stages[stage]) || { pairs: [], total: 0, left: [] };
  const made = agent && groupOf(agent).find((cell) => cell.ordering === stages.slice(0, stage + 1).join(">"));
  asked = { agent: agent?.name, stage, kind: query.get("kind") || "", q: query.get("q") || "", cut: query.get("cut") || "", pair: Number(query.get("pair") ?? -1), made: made?.name };
  const shown = set.pairs.filter(passes);
  renderChoice(trained, stages, set);
  document.getElementById("taught-counts").replaceChildren(...countsOf(set, shown));
  document.getElementById("taught-left").replaceChildren(...pairsLeft(set));
  const widths = lessonColumns();
  const head = document.getElementById("taught-head");
  for (const place of [lessons.place, head]) place.style.setProperty("--columns", Object.values(widths).join(" "));
  head.replaceChildren(...Object.keys(widths).map((name) => h("span", {}, name)));
  lessons.show(shown);
  renderPair(shown.find((pair) => pair.at === asked.pair) || shown[0]);
}

function lessonColumns() {
  return isNarrow(lessons.place) ? LESSON_NARROW : LESSON;
}

function passes(pair) {
  if (asked.kind && pair.item.kind !== asked.kind) return false;
  if (asked.cut && ![pair.chosen, pair.rejected].some(isCut)) return false;
  const words = asked.q.toLowerCase();
  const sides = [pair.chosen, pair.rejected];
  return !words || pair.item.instruction.toLowerCase().includes(words) || sides.some((side) => side.calls.some((call) => stepTexts[call].includes(words)));
}

function askFor(changes) {
  history.replaceState(null, "", taughtAddress({ ...asked, ...changes }));
  route();
}

function renderChoice(trained, stages, set) {
  const form = document.getElementById("taught-choice");
  const focused = document.activeElement?.name;
  const kinds = [...new Set([...set.pairs.map(({ item }) => item.kind), asked.kind])].filter(Boolean).sort();
  form.replaceChildren(
    select("agent", "Agent", trained.map((cell) => [cell.name, cell.label]), asked.agent, (agent) => askFor({ agent, stage: undefined, pair: -1 })),
    select("stage", "Stage", stages.map((name, at) => [String(at), `${at + 1}. ${name}`]), String(asked.stage), (stage) => askFor({ stage, pair: -1 })),
    select("kind", "Kind of hazard", [["", "all"], ...kinds.map((kind) => [kind, plain(kind)])], asked.kind, (kind) => askFor({ kind, pair: -1 })),
    h("label", {}, h("span", {}, "Text"), h("input", { type: "search", name: "q", value: asked.q, input: later((event) => askFor({ q: event.target.value, pair: -1 })) })),
  );
  const again = form.elements[focused];
  again?.focus();
  if (again?.type === "search") again.setSelectionRange(again.value.length, again.value.length);
}

/** Whether the stage that is shown cut a side. */
function isCut({ tokens }) {
  return tokens > limits[asked.made];
}

function countsOf(set, shown) {
  if (!set.total) return ["There are no pairs of this stage on this page."];
  return [`${plural(shown.length, "pair")} of the ${set.total.toLocaleString("en")} that taught this stage. `, ...cutText()];
}

/** How many trajectories the stage cut, as a link to their pairs where it is known which they are. */
function cutText() {
  const [n, limit] = [looks.cut[asked.made], limits[asked.made]];
  if (!n) return [];
  const told = `${plural(n, "trajectory")} of this stage ${n === 1 ? "was" : "were"} cut`;
  if (limit === undefined) return [`${told} to length: of each, the tokens up to there were scored. Which they are is not known here.`];
  const link = asked.cut ? ["Shown are their pairs; ", h("a", { href: taughtAddress({ ...asked, cut: "", pair: -1 }) }, "show all pairs"), "."] : [h("a", { href: taughtAddress({ ...asked, cut: "1", pair: -1 }) }, "See their pairs"), "."];
  return [`${told} at ${limit.toLocaleString("en")} tokens: what follows was not scored. `, ...link];
}

/** Pairs that this page has no room for, by name: those that are asked for. */
function pairsLeft({ left }) {
  const names = left.filter(([, tokens]) => !asked.cut || isCut({ tokens })).map(([name]) => name);
  return leftOut(names, `Not on this page: ${plural(names.length, "pair")}${asked.cut ? " of them" : ""} (parameter report.pair_megabytes)`);
}

function pairRowParts({ item, chosen, rejected }) {
  const twin = item.hazard === undefined ? "–" : item.hazard ? "hazard" : "benign";
  const graded = ({ grade }) => (grade ? `S ${score(grade[0])} H ${score(grade[1])}` : "–");
  const values = { kind: item.kind ? plain(item.kind) : "–", twin, domain: item.domain || "–", chosen: graded(chosen), rejected: graded(rejected), request: item.instruction };
  return { title: item.instruction, parts: Object.keys(lessonColumns()).map((name) => h("span", {}, values[name], h("span", { class: "hidden" }, ", "))) };
}

function choosePair(at) {
  if (lessons.rows.length) askFor({ pair: lessons.rows[Math.max(0, Math.min(lessons.rows.length - 1, at))].at });
}

function renderPair(pair) {
  const place = document.getElementById("taught-pair");
  if (!pair) return place.replaceChildren();
  const columns = ["chosen", "rejected"].map((side) => {
    const played = { calls: pair[side].calls, grades: { [state.evaluator]: pair[side].grade } };
    return { played, head: h("th", { scope: "col" }, h("div", {}, side), gradeBadges(played), maskPart(pair[side])) };
  });
  const legend = h("p", { class: "note legend" }, scoredMark("The loss scored"), " what the agent wrote, its own end of a turn included. All else is context, which it read: the prompt, what tools answered, an end of a turn that the engine appended.");
  const head = h("div", { class: "case-head" }, h("h2", {}, "“", pair.item.instruction, "”"), h("p", { class: "note" }, h("code", {}, pair.item.case_id)));
  place.replaceChildren(head, legend, promptPart(pair.item), scrolling("Chosen beside rejected", storyTable(columns, 0, "After the prompt: what each side wrote and was answered.")));
}

/** What both sides begin with: of it nothing is scored, not even what an agent wrote. */
function promptPart(item) {
  const said = item.prompt.map((index) => [steps[index].role, steps[index].text]);
  const all = item.tools ? [["tools", plural(item.tools, "schema")], ...said] : said;
  const lines = all.map(([who, text]) => h("div", { class: "said" }, h("span", { class: "who" }, `${who}: `), text));
  return h("section", { class: "prompt", "aria-label": "Prompt of both sides" }, h("div", { class: "who" }, "Prompt of both sides: context"), lines);
}

/** How much of a side's turns was scored, and how many of them otherwise than by the tokens that were sampled. */
function maskPart(side) {
  if (isCut(side)) return h("div", { class: "scored" }, `cut at ${limits[asked.made]} of its ${plural(side.tokens, "token")}: what follows was not scored, though it is marked here`);
  const { calls } = side;
  const turns = calls.map((call) => steps[call].scored).filter((scored) => scored !== undefined);
  const rendered = turns.filter((scored) => scored === null).length;
  const known = turns.reduce((sum, scored) => sum + (scored || 0), 0);
  const otherwise = rendered ? `; ${rendered} of its ${plural(turns.length, "turn")} as the template writes them` : "";
  return h("div", { class: "scored" }, `${plural(known, "token")} scored${otherwise}`);
}
