// Figures of a page: drawn when they come into view, in the page's colours.

const figures = JSON.parse(document.getElementById("figures-data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Set();

function colours(printed) {
  const style = getComputedStyle(document.documentElement);
  return printed ? "#374151" : style.getPropertyValue("--soft").trim();
}

/** Plotly takes longer to read than the rest of the page: it is read when the first figure is drawn. */
function readPlotly() {
  if (window.Plotly) return;
  const script = document.createElement("script");
  script.textContent = document.getElementById("plotly").textContent;
  document.head.append(script);
}

function draw(name) {
  const place = document.getElementById("plot-" + name);
  if (!place || drawn.has(name)) return;
  drawn.add(name);
  readPlotly();
  const { data, layout } = figures[name];
  const font = { ...layout.font, color: colours(false), size: place.clientWidth < 500 ? 11 : 13 };
  const options = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"] };
  Plotly.newPlot(place, data, { ...layout, font }, options);
  place.on("plotly_click", ({ points }) => {
    const to = points[0].customdata?.[0];
    if (typeof to === "string" && to.startsWith("#")) location.hash = to;
  });
}

function recolour(printed) {
  for (const name of drawn) Plotly.relayout("plot-" + name, { "font.color": colours(printed) });
}

/** Paper has no clicks: what is closed is printed open, and closed again afterwards. */
const opened = [];

function openAll() {
  for (const closed of document.querySelectorAll("details:not([open])")) { closed.open = true; opened.push(closed); }
}

function closeOpened() {
  for (const element of opened.splice(0)) element.open = false;
}

function watchFigures() {
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    seen.unobserve(entry.target);
    setTimeout(draw, 0, entry.target.id.replace("plot-", "")); // after what can be shown without figures
  }), { rootMargin: "400px" });
  for (const name in figures) {
    const place = document.getElementById("plot-" + name);
    if (!place) continue;
    place.style.minHeight = figures[name].layout.height + "px";
    seen.observe(place);
  }
  dark.addEventListener("change", () => recolour(false));
  window.addEventListener("beforeprint", () => { openAll(); for (const name in figures) draw(name); recolour(true); });
  window.addEventListener("afterprint", () => { closeOpened(); recolour(false); });
}

watchFigures();
