// Which view of the report is shown.

/** The trajectories of a point of the frontier. */
clicked.frontier = (point) => {
  const [source, beta, ordering, ...levels] = point.customdata || [];
  const same = (c) => c.source === source && c.beta === beta && further.every((key, index) => c[key] === levels[index]);
  const names = cells.filter((c) => c.ordering === ordering && (ordering === "source" || same(c)));
  if (names.length) location.hash = "#trajectories?cells=" + names.map((c) => c.name).join(",");
};

const views = { report: null, trajectories: showTrajectories, pairs: showPairs };

/** Shows the view that the address names: `#trajectories?…`, `#pairs?…`, or the report with any other anchor. */
function route() {
  const [name, query] = location.hash.slice(1).split("?");
  const view = name in views ? name : "report";
  for (const other in views) document.getElementById("view-" + other).hidden = other !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (views[view]) views[view](new URLSearchParams(query || ""));
  else if (name && name !== "report") document.getElementById(name)?.scrollIntoView();
}

window.addEventListener("hashchange", route);
