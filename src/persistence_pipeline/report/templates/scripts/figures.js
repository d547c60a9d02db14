// Figures of a page: drawn when they come into view, in the page's colours.

const figures = JSON.parse(document.getElementById("figures-data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Set();
/** By figure: what is done with a point that is clicked. */
const clicked = {};

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
  if (name in clicked) place.on("plotly_click", (event) => clicked[name](event.points[0]));
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

watchFigures();
