// Which view of the page is shown.

const views = { report: null };
/** By name, what shows a view from the query of its address; each view adds its own. */

/** Shows the view that the address names: `#trajectories?…`, `#pairs?…`, `#taught?…`, or the report with any other anchor. */
function route() {
  const [name, query] = location.hash.slice(1).split("?");
  const view = name in views ? name : "report";
  for (const other in views) document.getElementById("view-" + other).hidden = other !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (views[view] && packed) views[view](new URLSearchParams(query || ""));
  else if (name && name !== "report") showPlace(document.getElementById(name));
}

/** What is closed around a place opens. */
function showPlace(place) {
  const closed = place?.closest("details");
  if (closed) closed.open = true;
  place?.scrollIntoView();
}

window.addEventListener("hashchange", route);
