// Building the page from text. Nothing that a model wrote is ever parsed as markup: texts become text nodes.

/** An element with attributes and children; strings and numbers become text nodes, `null` is left out. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const SHAPES = {
  square: "M2 2h12v12h-12z",
  circle: "M8 1.5a6.5 6.5 0 1 0 .01 0z",
  diamond: "M8 1l7 7l-7 7l-7 -7z",
  cross: "M6 1h4v5h5v4h-5v5h-4v-5h-5v-4h5z",
  "triangle-right": "M3 1l12 7l-12 7z",
  "triangle-left": "M13 1l-12 7l12 7z",
  "triangle-up": "M8 1l7 12h-14z",
  star: "M8 0l2.1 5.6h5.9l-4.8 3.6l1.8 5.8l-5 -3.5l-5 3.5l1.8 -5.8l-4.8 -3.6h5.9z",
  "star-square": "M8 4l6 -3l-3 7l3 7l-6 -3l-6 3l3 -7l-3 -7z",
  "star-diamond": "M8 0l2 6l6 2l-6 2l-2 6l-2 -6l-6 -2l6 -2z",
};

/** The colour and shape of an ordering, as in the figures. */
function icon(ordering) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[looks.orderings[ordering].symbol]);
  path.setAttribute("fill", looks.orderings[ordering].colour);
  svg.append(path);
  return svg;
}

/** A labelled select; `options` are [value, text] pairs. */
function select(name, label, options, value, change) {
  const choices = options.map(([key, text]) => h("option", { value: key, selected: key === value }, text));
  return h("label", {}, h("span", {}, label), h("select", { name, change: (event) => change(event.target.value) }, choices));
}

/** A wide table in a region that scrolls by itself, also by keyboard. */
function scrolling(label, table) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}

/** What a page has no room for, by name, behind a sentence that opens; nothing where there is room for all. */
function leftOut(names, sentence) {
  return names.length ? [h("details", {}, h("summary", {}, sentence), h("pre", { class: "names", tabindex: "0", "aria-label": sentence }, names.join("\n")))] : [];
}

function plural(n, word) {
  const many = word.endsWith("y") ? `${word.slice(0, -1)}ies` : `${word}s`;
  return `${n.toLocaleString("en")} ${n === 1 ? word : many}`;
}

function signed(value) {
  const text = Math.abs(value).toFixed(2);
  return Number(text) ? `${value < 0 ? "−" : "+"}${text}` : text;
}

function plain(name) {
  return name.replaceAll("_", " ");
}
