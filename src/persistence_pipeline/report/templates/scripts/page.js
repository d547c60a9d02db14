// Figures of the report: drawn when they come into view, in the page's colours; and which view is shown.

const figures = JSON.parse(document.getElementById("figures-data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Set();

function colours(printed) {
  const style = getComputedStyle(document.documentElement);
  return printed ? "#374151" : style.getPropertyValue("--soft").trim();
}

function draw(name) {
  const place = document.getElementById("plot-" + name);
  if (!place || drawn.has(name)) return;
  drawn.add(name);
  const { data, layout } = figures[name];
  const font = { ...layout.font, color: colours(false), size: place.clientWidth < 500 ? 11 : 13 };
  const options = { responsive: true, displaylogo: false, displayModeBar: "hover" };
  Plotly.newPlot(place, data, { ...layout, font }, options);
  if (name === "frontier") place.on("plotly_click", (event) => openPoint(event.points[0]));
}

/** The trajectories of a point of the frontier. */
function openPoint(point) {
  const [source, beta, ordering] = point.customdata || [];
  const names = cells.filter((c) => c.ordering === ordering && (ordering === "source" || (c.source === source && c.beta === beta)));
  if (names.length) location.hash = "#trajectories?cells=" + names.map((c) => c.name).join(",");
}

function recolour(printed) {
  for (const name of drawn) Plotly.relayout("plot-" + name, { "font.color": colours(printed) });
}

function watchFigures() {
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    seen.unobserve(entry.target);
    draw(entry.target.id.replace("plot-", ""));
  }), { rootMargin: "400px" });
  for (const name in figures) {
    const place = document.getElementById("plot-" + name);
    if (!place) continue;
    place.style.minHeight = figures[name].layout.height + "px";
    seen.observe(place);
  }
  dark.addEventListener("change", () => recolour(false));
  window.addEventListener("beforeprint", () => { for (const name in figures) draw(name); recolour(true); });
  window.addEventListener("afterprint", () => recolour(false));
}

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
