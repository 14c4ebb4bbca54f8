// What happened since the page was opened: lists that were shown, marks, and their export. Nothing is stored.

import { $, download, number, when } from "./dom.js";

const marks = new Map(); // image id -> "right" | "wrong"
const lists = []; // every page of hits that was shown, in order

export const markOf = (image) => marks.get(image) ?? "";

/** Mark an image, or take the same mark back. */
export function mark(image, kind) {
  if (marks.get(image) === kind) marks.delete(image);
  else marks.set(image, kind);
  showCount();
}

function showCount() {
  $("mark-count").hidden = !marks.size;
  $("mark-count").textContent = marks.size;
}

export function keep(column, answer) {
  const { hits, ...rest } = answer;
  lists.push({ time: new Date().toISOString(), asked: column.text, ...rest, hits });
}

/** Who was erased leaves the session, too: one image, or all of a person's in whatever list they stood. */
export function forget({ image = null, pid = null }) {
  const isGone = (hit) => hit.image === image || (pid !== null && hit.pid === pid);
  for (const list of lists) {
    for (const hit of list.hits.filter(isGone)) marks.delete(hit.image);
    list.hits = list.hits.filter((hit) => !isGone(hit));
  }
  showCount();
}

const COLUMNS = ["list", "time", "task", "view", "asked", "instruction", "rank", "image", "key", "score", "stage", "percent",
  "chance", "camid", "taken", "dataset", "modality", "pid", "mark"];

function csv() {
  const quoted = (value) => {
    const text = String(value ?? "");
    const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text; // no formulas in spreadsheets
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const rows = lists.flatMap((list, place) =>
    list.hits.map((hit) => ({ ...list, ...hit, list: place + 1, taken: hit.taken === null ? "" : when(hit.taken), mark: markOf(hit.image) })),
  );
  return [COLUMNS, ...rows.map((row) => COLUMNS.map((name) => row[name]))].map((row) => row.map(quoted).join(",")).join("\r\n");
}

export function setUpSession(index) {
  const stamp = () => new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  $("export-open").addEventListener("click", () => {
    const hits = lists.reduce((sum, list) => sum + list.hits.length, 0);
    $("export-line").textContent = `${number(lists.length)} lists, ${number(hits)} results, ${number(marks.size)} marks.`;
    $("export").showModal();
  });
  $("export-csv").addEventListener("click", () => download(`search-${stamp()}.csv`, "text/csv", csv()));
  $("export-json").addEventListener("click", () => {
    const marked = Object.fromEntries(marks);
    const content = { model: index.model, engine: index.engine, lists, marks: marked };
    download(`search-${stamp()}.json`, "application/json", JSON.stringify(content, null, 2));
  });
}
