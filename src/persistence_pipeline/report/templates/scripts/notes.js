// Notes on trajectories. They stay in this browser, under the study's scores, until they are taken out as a file.

const NOTES = `notes on ${looks.study}`;
let notes = readNotes();

function readNotes() {
  try {
    return JSON.parse(localStorage.getItem(NOTES)) || {};
  } catch {
    return {}; // no storage here: notes last as long as the page
  }
}

function keepNotes() {
  try {
    localStorage.setItem(NOTES, JSON.stringify(notes));
  } catch {
    // as above
  }
}

function noteOf(t) {
  return notes[idOf(t)] || "";
}

function notePart(t) {
  if (!t) return null;
  const write = (event) => {
    const text = event.target.value.trim();
    if (text) notes[idOf(t)] = text;
    else delete notes[idOf(t)];
    keepNotes();
    list.draw();
    tellNotes();
  };
  return h("label", { class: "note-of" }, h("span", {}, `Note on ${cells[t.cell].label}, sample ${t.sample}`), h("textarea", { name: "note", rows: "2", input: write }, noteOf(t)));
}

function saveNotes() {
  saveFile("notes.json", JSON.stringify({ study: looks.study, notes }, null, 1), "application/json");
}

/** Adds the notes of a file that was saved here; of two on one trajectory the file's stays. */
async function loadNotes(event) {
  const told = document.getElementById("notes-told");
  const [file] = event.target.files;
  try {
    const read = JSON.parse(await file.text());
    if (typeof read.notes !== "object" || read.notes === null) throw new Error("expected the key “notes”");
    const known = Object.entries(read.notes).filter(([name, text]) => typeof text === "string" && name);
    notes = { ...notes, ...Object.fromEntries(known) };
    keepNotes();
    renderTrajectories();
    const other = read.study === looks.study ? "" : ", of another study";
    document.getElementById("notes-told").textContent = `${plural(known.length, "note")} read${other}`;
  } catch (error) {
    told.textContent = `${file.name}: not read, ${error.message}`;
  }
}

function tellNotes() {
  const n = Object.keys(notes).length;
  document.getElementById("notes-told").textContent = n ? plural(n, "note") : "";
}
