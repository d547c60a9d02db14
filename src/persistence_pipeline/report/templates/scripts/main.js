// The trajectory view put together: filters, counts, list, case.

const countPlace = document.getElementById("counts");

function showTrajectories(query) {
  state = readState(query);
  renderTrajectories();
}

function renderTrajectories() {
  const rows = matchingTrajectories(state);
  renderFilters();
  renderList(rows);
  countPlace.replaceChildren(...countTexts(rows));
  renderCase();
}

function countTexts(rows) {
  const { total } = packed;
  const n = new Set(rows.map((t) => t.case)).size;
  const sentences = [`${plural(n, "case")}, ${rows.length.toLocaleString("en")} of ${total.trajectories.toLocaleString("en")} trajectories pass.`];
  if (list.columns.some(({ name }) => COLUMNS[name].gap)) sentences.push(` Δ is ${minusOf(state).map(sideText).join(" minus ")} on the case.`);
  if (cases.length < total.cases) {
    sentences.push(` This page holds ${cases.length.toLocaleString("en")} of the ${total.cases.toLocaleString("en")} cases, with all their trajectories, held-out combinations first.`);
  }
  return sentences;
}

views.trajectories = showTrajectories;
document.getElementById("save-list").addEventListener("click", saveList);
document.getElementById("save-notes").addEventListener("click", saveNotes);
document.getElementById("load-notes").addEventListener("change", loadNotes);
window.addEventListener("popstate", () => { if (packed) route(); });
loadStudy().then(() => {
  document.getElementById("cases-left").replaceChildren(...leftOut(packed.left, `Not on this page: ${plural(packed.left.length, "case")} (parameter report.browser_megabytes)`));
  tellNotes();
  route();
});
