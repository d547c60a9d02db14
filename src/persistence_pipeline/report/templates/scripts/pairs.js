// Two cells on the same cases: won, lost, tied, the paired difference and its test, as the analysis computed them.

const pairPlace = document.getElementById("pair-result");
views.pairs = showPairs;
const comparisons = JSON.parse(document.getElementById("comparisons-data").textContent);

function showPairs(query) {
  const shared = (cell) => cells.filter((other) => other !== cell && other.seed === cell.seed);
  const first = cellByName.get(query.get("first")) || cells[0];
  const others = shared(first);
  const asked = cellByName.get(query.get("second"));
  const second = others.includes(asked) ? asked : others[0];
  const go = (a, b) => { location.hash = `#pairs?first=${a}&second=${b}`; };
  const options = (list) => list.map((cell) => [cell.name, cell.label]);
  document.getElementById("pair-choice").replaceChildren(
    select("first", "First", options(cells), first.name, (name) => go(name, second ? second.name : "")),
    select("second", "Second (same seed)", options(others), second ? second.name : "", (name) => go(first.name, name)),
    ...(second ? [h("button", { type: "button", click: () => go(second.name, first.name) }, "Swap")] : []),
  );
  const tables = second ? pairTables(first, second) : [h("p", {}, "No other cell of this seed.")];
  pairPlace.replaceChildren(...tables, ...(second ? overview(first, second) : []));
  watchTables(pairPlace);
}

/** The comparison of two cells in a metric, turned round where it was computed the other way; or undefined. */
function comparison(first, second, metric, evaluator) {
  const fits = (row, a, b) => row.first === a.name && row.second === b.name && row.metric === metric && row.evaluator === evaluator;
  const straight = comparisons.rows.find((row) => fits(row, first, second));
  if (straight) return straight;
  const other = comparisons.rows.find((row) => fits(row, second, first));
  if (!other) return undefined;
  const { estimate, low, high } = other.difference;
  const turned = { estimate: -estimate, low: high === null ? null : -high, high: low === null ? null : -low };
  return { ...other, wins: other.losses, losses: other.wins, difference: turned };
}

function pairTables(first, second) {
  const split = splitNames[comparisons.split] || comparisons.split;
  const header = ["metric", ...(evaluators.length > 1 ? ["evaluator"] : []), "cases", "won", "lost", "tied", "difference", "95% interval", "p"];
  const rows = evaluators.flatMap((evaluator, index) => ["safety", "helpfulness"].map((metric) => pairRow(first, second, metric, evaluator, index)));
  return [
    h("p", { class: "pair-names" }, icon(first.ordering), ` ${first.label}  against  `, icon(second.ordering), ` ${second.label}`),
    scrolling("Won, lost and tied", h(
      "table",
      { class: "pairs" },
      h("caption", { class: "note" }, `On ${split}. Won: cases on which the first scores higher, averaged over samples. Counts lead to the cases.`),
      h("thead", {}, h("tr", {}, header.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows),
    )),
    h("p", { class: "note" }, "Difference: mean over cases of first minus second, with a 95% interval from resampled cases. p: Wilcoxon signed-rank test (Pratt), two-sided, not corrected for the number of comparisons."),
  ];
}

function pairRow(first, second, metric, evaluator, index) {
  const compared = comparison(first, second, metric, evaluator);
  const named = [h("th", { scope: "row" }, metric), ...(evaluators.length > 1 ? [h("td", {}, evaluator)] : [])];
  if (!compared) return h("tr", {}, named, h("td", { colspan: "7" }, "not compared: no case that both have a score on"));
  const { estimate, low, high } = compared.difference;
  const count = (outcome, n) => h("td", {}, n ? h("a", { href: pairAddress(first, second, metric, outcome, index) }, String(n)) : "0");
  return h(
    "tr",
    {},
    named,
    h("td", {}, String(compared.n_cases)),
    count("won", compared.wins),
    count("lost", compared.losses),
    count("tied", compared.ties),
    h("td", {}, signed(estimate)),
    h("td", {}, low === null ? "–" : `${signed(low)} to ${signed(high)}`),
    h("td", {}, compared.p === null ? "–" : pText(compared.p)),
  );
}

/** Differences between all cells of the first's group, and the second: row minus column. */
function overview(first, second) {
  const group = groups().find((one) => one.cells.includes(first)) || { cells: [first] };
  const shown = [...new Set([...group.cells, second])];
  const evaluator = evaluators[0];
  const table = (metric) => h(
    "table",
    { class: "pairs" },
    h("caption", { class: "note" }, `Difference in ${metric}, row minus column; bold where the interval excludes zero.`),
    h("thead", {}, h("tr", {}, h("td", {}), shown.map((cell) => h("th", { scope: "col" }, icon(cell.ordering), " ", cell.label)))),
    h("tbody", {}, shown.map((row) => h("tr", {}, h("th", { scope: "row" }, icon(row.ordering), " ", row.label), shown.map((column) => differenceCell(row, column, metric, evaluator))))),
  );
  return [h("h2", {}, "All of the group"), ...["safety", "helpfulness"].map((metric) => scrolling(`Differences in ${metric}`, table(metric)))];
}

function differenceCell(row, column, metric, evaluator) {
  const compared = row === column ? undefined : comparison(row, column, metric, evaluator);
  if (!compared) return h("td", {}, "");
  const { estimate, low, high } = compared.difference;
  const link = h("a", { href: `#pairs?first=${row.name}&second=${column.name}` }, signed(estimate));
  return h("td", { class: low > 0 || (high !== null && high < 0) ? "clear" : null }, link);
}

function pairAddress(first, second, metric, outcome, evaluator) {
  return addressOf({ cells: [first, second], chosen: true, split: comparisons.split, pair: [first.name, second.name, metric, outcome].join(","), evaluator });
}

function pText(p) {
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

document.getElementById("pair-choice").addEventListener("submit", (event) => event.preventDefault());
