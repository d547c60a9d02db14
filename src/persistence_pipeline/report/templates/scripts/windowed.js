// A list of which only the rows in view are made, so its length does not matter. Arrow keys move.

/**
 * @param {Element} place Where it stands.
 * @param {string} id What the ids of its rows begin with.
 * @param {function} element The `parts` and the `title` of a row's element.
 * @param {function} chosen Which row is chosen; -1 where none is.
 * @param {function} choose What choosing the row of a number does.
 */
function windowedList({ place, id, element, chosen, choose }) {
  const inner = h("div", { role: "presentation" });
  const own = { rows: [], place, draw, show };
  const rowHeight = () => (isNarrow(place) ? 52 : 30);
  place.append(inner);

  function show(rows) {
    own.rows = rows;
    inner.style.height = `${rows.length * rowHeight()}px`;
    const at = chosen();
    if (at >= 0) keepInView(at);
    else place.scrollTop = 0;
    draw();
  }

  function keepInView(at) {
    const { scrollTop, clientHeight } = place;
    const [top, height] = [at * rowHeight(), rowHeight()];
    if (top < scrollTop) place.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) place.scrollTop = top + height - clientHeight;
  }

  function draw() {
    const height = rowHeight();
    const first = Math.max(0, Math.floor(place.scrollTop / height) - 4);
    const last = Math.min(own.rows.length, first + Math.ceil(place.clientHeight / height) + 9);
    const at = chosen();
    inner.replaceChildren(...own.rows.slice(first, last).map((row, offset) => drawn(row, first + offset, at, height)));
    if (at >= first && at < last) place.setAttribute("aria-activedescendant", `${id}-${at}`);
    else place.removeAttribute("aria-activedescendant");
  }

  function drawn(row, at, marked, height) {
    const { title, parts } = element(row);
    const known = { role: "option", "aria-selected": String(at === marked), "aria-setsize": own.rows.length, "aria-posinset": at + 1 };
    return h("div", { id: `${id}-${at}`, class: "row", title, style: `top:${at * height}px;height:${height}px`, ...known, click: () => choose(at) }, parts);
  }

  place.addEventListener("scroll", draw, { passive: true });
  place.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(place.clientHeight / rowHeight()) - 1);
    const at = chosen();
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: own.rows.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    choose(moves[event.key]);
  });
  return own;
}

function isNarrow(place) {
  return place.clientWidth > 0 && place.clientWidth < 700;
}
