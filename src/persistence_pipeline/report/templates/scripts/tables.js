// Tables of a page: they sort, and where one has no room for its columns, each row becomes a block of names and values.

const widest = new ResizeObserver((entries) => entries.forEach(({ target }) => stackIfNarrow(target)));

function stackIfNarrow(region) {
  const table = region.querySelector("table:not(.columns)");
  if (!table || !region.clientWidth || region.clientWidth === region.stackedAt) return;
  region.stackedAt = region.clientWidth;
  table.classList.remove("stacked");
  if (table.scrollWidth <= region.clientWidth) return;
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, index) => { cell.dataset.label = names[index] || ""; cell.classList.toggle("nothing", ["", "–"].includes(cell.textContent.trim())); });
  table.classList.add("stacked");
}

function watchTables(place) {
  for (const region of place.querySelectorAll(".scroll")) {
    widest.observe(region);
    region.querySelectorAll("table:not(.columns)").forEach(offerSort);
  }
}

watchTables(document);
