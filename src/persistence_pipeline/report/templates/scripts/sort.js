// Tables sort by a header, with the mouse or by its key: upwards, then downwards, then as they were.

const NEXT_ORDER = { none: "ascending", ascending: "descending", descending: "none" };
const NOTHING = ["", "–", "undefined"];
const ESTIMATE = /^[+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?(?=$|[\s%×(])/;

/** A button in each header of a table that has several rows. */
function offerSort(table) {
  const heads = [...(table.tHead?.rows[0].cells || [])];
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 2 || table.classList.contains("sortable")) return;
  table.classList.add("sortable");
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    head.setAttribute("aria-sort", "none");
    head.replaceChildren(h("button", { type: "button", class: "sort", click: () => sortBy(table, rows, column) }, [...head.childNodes]));
  });
}

function sortBy(table, rows, column) {
  const heads = [...table.tHead.rows[0].cells];
  const order = NEXT_ORDER[heads[column].getAttribute("aria-sort")];
  for (const head of heads) if (head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
  heads[column].setAttribute("aria-sort", order);
  table.tBodies[0].append(...(order === "none" ? rows : rowsInOrder(rows, column, order === "ascending" ? 1 : -1)));
}

function rowsInOrder(rows, column, sign) {
  const keys = sortKeys(rows.map((row) => row.cells[column]?.textContent.trim() ?? ""));
  return rows.map((row, at) => [keys[at], row]).sort((a, b) => compared(a[0], b[0], sign)).map(([, row]) => row);
}

/** Texts as numbers, of which one with an interval is its estimate, or as they are where one is no number; nothing is null. */
function sortKeys(written) {
  const numbers = written.map((text) => ESTIMATE.exec(text.replaceAll("−", "-").replace(/^< /, ""))?.[0].replaceAll(",", ""));
  const known = written.map((text) => !NOTHING.includes(text));
  const counted = known.every((there, at) => !there || numbers[at] !== undefined);
  return written.map((text, at) => (!known[at] ? null : counted ? Number(numbers[at]) : text));
}

/** Nothing comes last, whichever way round. */
function compared(a, b, sign) {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? 1 : -1;
  return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
}
