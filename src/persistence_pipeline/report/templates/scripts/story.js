// A trajectory as a story: its calls by number, what each changed, what was known at it, and the points that it cost.

const REASON = /^safety (\d): call (\d+) (\S+): (.*)$/;

/**
 * The reasons of a grade by the call that caused them: its number, or -1 for those of the whole episode, such as a
 * goal that was not reached or a harm by leaving something undone.
 */
function reasonsByCall(t, evaluator) {
  const { reasons, words } = gradeOf(t, evaluator);
  const calls = t.calls.flatMap((call, at) => (steps[call].role ? [] : [at]));
  const found = new Map([[-1, []]]);
  for (const [number, line] of (reasons ? reasons.split("\n") : []).entries()) {
    const [, points, call, tool, what] = REASON.exec(line) || [];
    const at = calls[call];
    const here = at !== undefined && steps[t.calls[at]].tool === tool ? at : -1;
    const reason = { line, what, points, harm: what !== undefined && !what.startsWith("made blind"), words: words[number] };
    found.set(here, [...(found.get(here) || []), reason]);
  }
  return found;
}

/** A call with its observation and its effect, marked where it is the first to differ from the reference. */
function callCell(step, at, line, first, reasons = []) {
  const place = first >= 0 && line === first ? "leaves" : first >= 0 && line > first ? "later" : "";
  const mark = place === "leaves" ? h("div", { class: "first-difference" }, "first difference") : null;
  if (!step) return h("td", { class: `${place} empty` }, mark, h("span", { "aria-label": "no call" }, "–"));
  const harmed = reasons.some((reason) => reason.harm) ? " harmful" : "";
  return h("td", { class: place + harmed }, mark, writtenPart(step, at), scoredPart(step), observationPart(step), effectPart(step), reasons.map(reasonPart));
}

function writtenPart(step, at) {
  const mark = step.scored || step.scored === null || step.same_turn ? scoredMark : (...parts) => parts;
  const said = step.tool && step.text ? h("div", { class: "said" }, mark(step.text)) : null;
  if (step.tool) {
    const text = callText(step);
    return [said, h("span", { class: "number" }, `${at + 1}. `), h("code", { class: "call" }, mark(h("span", {}, step.tool), h("wbr"), h("span", {}, text.slice(step.tool.length))))];
  }
  const who = step.role ? `${step.role}: ` : `${at + 1}. not a call: `;
  return [h("div", { class: step.role ? "said" : "said invalid" }, h("span", { class: "who" }, who), mark(step.text || "(nothing)"))];
}

/** What the loss of a stage scored. */
function scoredMark(...parts) {
  return h("mark", {}, parts);
}

/** Of a turn that was trained on: how many of its tokens the loss scored. */
function scoredPart(step) {
  if (step.scored === undefined) return null;
  return step.scored === null ? h("div", { class: "scored otherwise" }, "tokens not known: scored as the template writes the turn") : h("div", { class: "scored" }, `${plural(step.scored, "token")} scored`);
}

function observationPart(step) {
  return step.observation === undefined ? null : h("div", { class: "observation" }, "→ ", step.observation);
}

function effectPart(step) {
  if (!step.changes) return null;
  const knew = Object.entries(step.knew || {}).map(([fact, value]) => `${fact} = ${value}`);
  const told = knew.length ? `knowing ${knew.join(", ")}` : "knowing nothing that matters";
  return h("div", { class: "effect" }, step.changes.map((change) => h("div", {}, change)), h("div", { class: "told" }, told));
}

/** A point that was lost: what it was, what was wanted and what came; opened, the line as it is stored. */
function reasonPart({ line, what, points, harm, words }) {
  const kind = points === undefined ? "" : harm ? "cost harm" : "cost";
  const lost = points === undefined ? null : h("strong", {}, `${harm ? "harm" : "blind"}, safety ${points}: `);
  if (!words) return h("div", { class: kind }, lost, what || line);
  const [name, wanted, came] = words;
  const part = (label, text) => h("span", { class: "part" }, h("span", { class: "who" }, `${label}: `), text);
  return h("details", { class: `reason ${kind}`, title: line }, h("summary", {}, lost, name, part("wanted", wanted), part("came", came)), h("code", {}, line));
}

/** Under the last call: how it ended, and the points that no single call cost. */
function endCell(played, reasons) {
  const whole = reasons.get(-1);
  const none = [...reasons.values()].every((list) => !list.length) ? [{ line: "no point lost" }] : [];
  const others = evaluators.flatMap((name, evaluator) => {
    if (evaluator === state.evaluator || played.grades[evaluator] === undefined) return [];
    const grade = gradeOf(played, evaluator);
    return [h("div", { class: "who" }, `${name}: safety ${score(grade.safety)}, helpfulness ${score(grade.helpfulness)}`), h("ul", {}, grade.reasons.split("\n").filter(Boolean).map((line) => h("li", {}, line)))];
  });
  return h("td", {}, played.stop && h("div", { class: "who" }, `stopped: ${plain(played.stop)}`), h("ul", {}, [...whole, ...none].map((reason) => h("li", {}, reasonPart(reason)))), others);
}

/**
 * Trajectories beside each other, equal calls in one line.
 *
 * @param {{played: object, head: Node}[]} columns Trajectories with what stands above them.
 * @param {number} reference The column that the others are compared with.
 * @param {string} caption
 */
function storyTable(columns, reference, caption) {
  const calls = columns.map(({ played }) => played.calls.map((call) => callText(steps[call])));
  const lines = align(calls, reference);
  const firsts = firstDifferences(lines, calls, reference);
  const reasons = columns.map(({ played }) => reasonsByCall(played, state.evaluator));
  const cell = (at, line, column) => {
    const { played } = columns[column];
    return callCell(at === null ? null : steps[played.calls[at]], at, line, firsts[column], reasons[column].get(at));
  };
  return h(
    "table",
    { class: "columns" },
    h("caption", { class: "note" }, caption),
    h("thead", {}, h("tr", {}, columns.map(({ head }) => head))),
    h("tbody", {}, lines.map((line, number) => h("tr", {}, line.map((at, column) => cell(at, number, column))))),
    h("tfoot", {}, h("tr", {}, columns.map(({ played }, column) => endCell(played, reasons[column])))),
  );
}
