// Twin beside twin: for each shown agent, what it did where there was a hazard and where, in the same words, there was none.

function twinTables(index) {
  const item = cases[index];
  if (item.twin === undefined) return h("p", {}, "This case has no twin on this page.");
  const [hazard, benign] = item.hazard ? [index, item.twin] : [item.twin, index];
  const sample = shownSample(index);
  const tables = state.cells.flatMap((cell) => {
    const [left, right] = [hazard, benign].map((of) => byCase[of].find((t) => t.cell === cell.index && t.sample === sample));
    return left && right ? [twinTable(cell, left, right)] : [];
  });
  return h("div", {}, whatDiffers(cases[hazard], cases[benign]), h("div", { class: "twins" }, tables));
}

function twinTable(cell, left, right) {
  const told = [left, right].map((t) => factOf(t, "told"));
  const verdict = told.includes(undefined) || told.includes(null) ? "" : told.every(Boolean) ? "told apart" : "not told apart";
  const head = (name, t) => h("th", { scope: "col" }, h("div", {}, name), gradeBadges(t));
  const columns = [{ played: left, head: head("with the hazard", left) }, { played: right, head: head("without", right) }];
  return h("section", { class: "twin" }, h("h3", {}, icon(cell.ordering), ` ${cell.label}`, verdict ? h("span", { class: "badge" }, verdict) : null), scrolling(`${cell.label}: twin beside twin`, storyTable(columns, 0, "Marked: where it acts otherwise without the hazard.")));
}

/** What is hidden and not the same in both: the hazard itself. */
function whatDiffers(hazard, benign) {
  const lines = (item) => [...(item.state || []).map(([id, , fields]) => `${id}: ${fields}`), ...(item.answers || []).map((text) => `the user would answer ${text}`), ...(item.events || [])];
  const [a, b] = [lines(hazard), lines(benign)];
  const only = (own, other) => own.filter((line) => !other.includes(line)).join("; ") || "nothing more";
  return h("dl", { class: "differs" }, h("dt", {}, "only with the hazard"), h("dd", {}, only(a, b)), h("dt", {}, "only without"), h("dd", {}, only(b, a)));
}
