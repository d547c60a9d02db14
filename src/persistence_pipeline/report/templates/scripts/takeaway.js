// What can be taken away: tables and the list as CSV, a case as JSON, figures as SVG and PNG. Nothing is sent anywhere.

function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Rows as CSV (RFC 4180); what a spreadsheet would take for a formula begins with a quote. */
function csvOf(rows) {
  const field = (value) => {
    const text = String(value ?? "");
    const safe = /^[=+@\t]|^-(?![\d.])/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => row.map(field).join(",") + "\r\n").join("");
}

function tableRows(table) {
  const text = (cell) => cell.textContent.trim().replaceAll("−", "-").replace(/\s+/g, " ");
  return [...table.rows].map((row) => [...row.cells].map(text));
}

/** The list as it is filtered and sorted, with every column, names and reasons. */
function saveList() {
  const names = Object.keys(COLUMNS);
  const values = names.map((name) => valuesOf(name, state));
  const head = ["trajectory", ...names, ...packed.facts.names.filter((name) => !names.includes(name)), "reasons"];
  const facts = packed.facts.names.filter((name) => !names.includes(name));
  const rows = list.rows.map((t) => [idOf(t), ...values.map((value) => value(t)), ...facts.map((name) => factOf(t, name)), gradeOf(t, state.evaluator).reasons]);
  saveFile("trajectories.csv", csvOf([head, ...rows]), "text/csv");
}

/** A case with everything that this page knows of it: the trajectories of all agents, calls, effects, grades. */
function saveCase(index) {
  const { twin, ...known } = cases[index];
  const played = byCase[index].map((t) => ({
    trajectory: idOf(t),
    agent: cells[t.cell].label,
    stop: t.stop,
    calls: t.calls.map((call) => steps[call]),
    grades: Object.fromEntries(evaluators.map((name, evaluator) => [name, gradeOf(t, evaluator)])),
    note: noteOf(t) || undefined,
  }));
  saveFile(`${known.case_id}.json`, JSON.stringify({ case: known, trajectories: played }, null, 1), "application/json");
}

function saveFigure(name, format) {
  draw(name);
  const place = document.getElementById("plot-" + name);
  Plotly.downloadImage(place, { format, filename: name, width: place.clientWidth, height: place.clientHeight, scale: format === "png" ? 3 : 1 });
}

/** A button at each table and each figure. */
function offerAll() {
  for (const table of document.querySelectorAll(".scroll > table")) {
    const region = table.parentElement;
    const label = region.getAttribute("aria-label");
    const name = label.split(/[:;,.]/)[0].toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 40);
    table.caption?.append(" ", h("span", { class: "take" }, h("button", { type: "button", class: "small", "aria-label": `CSV of: ${label}`, click: () => saveFile(`${name}.csv`, csvOf(tableRows(table)), "text/csv") }, "CSV")));
  }
  for (const name in figures) {
    const button = (format) => h("button", { type: "button", class: "small", click: () => saveFigure(name, format) }, format.toUpperCase(), h("span", { class: "hidden" }, ` of the figure ${plain(name)}`));
    document.getElementById("plot-" + name)?.after(h("p", { class: "take" }, button("svg"), " ", button("png")));
  }
}

offerAll();
