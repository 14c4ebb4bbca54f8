// The left side: images, task, instruction, clothes, filter; and the form that a search becomes.

import { thumbnail } from "./api.js";
import { $, el, number } from "./dom.js";

const HINTS = {
  "": "The task is chosen from the text and the images; the results show how they were understood.",
  trad: "The same person in the same clothes.",
  cc: "The same person, whatever the clothes.",
  vi: "Across visible light and infrared.",
  ctcc: "The same person in the clothes of the second image.",
  li: "The same person, in an image that the sentence describes.",
  t2i: "No image: the description is the query.",
};

/** What is asked. Images are {file, url} from this machine or {image} from the gallery. */
export const query = { pictures: [], negatives: [], clothes: [] };

let index = null;
let changed = () => {};

export function setUpQuery(opened, onchange) {
  index = opened;
  changed = onchange;
  const tasks = [{ name: "", title: "automatic" }, ...index.tasks];
  $("tasks").append(...tasks.map((task) => chip("task", task.name, task.title, "radio", task.name === "")));
  $("task-b").append(...tasks.map((task) => el("option", { value: task.name }, task.title)));
  choices("datasets", index.datasets, (name) => name);
  choices("cameras", index.camids, (name) => `camera ${name}`);
  choices("modalities", index.modalities, (name) => ({ rgb: "visible", ir: "infrared" })[name] ?? name);
  $("times").hidden = index.first === null;
  drop("picture", query.pictures, index.limits.pictures);
  drop("clothes", query.clothes, 1);
  drop("negative", query.negatives, index.limits.pictures);
  $("tasks").addEventListener("change", showTask);
  $("filter-part").addEventListener("change", countFilters);
  $("sentences").addEventListener("change", () => {
    $("text").value = $("sentences").value;
    $("sentences").value = "";
    $("text").focus();
  });
  $("filter-clear").addEventListener("click", () => {
    for (const input of $("filter-part").querySelectorAll("input")) {
      if (input.type === "checkbox") input.checked = false;
      else input.value = "";
    }
    countFilters();
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) addFiles("picture", query.pictures, files, index.limits.pictures);
  });
  showTask();
}

function chip(name, value, title, type, checked = false) {
  return el("label", {}, el("input", { type, name, value, checked }), el("span", {}, title));
}

function choices(id, counts, title) {
  const names = Object.keys(counts);
  $(id).hidden = names.length < 2;
  $(id).append(...names.map((name) => chip(id, name, `${title(name)} · ${number(counts[name])}`, "checkbox")));
}

const picked = (id) => [...$(id).querySelectorAll("input:checked")].map((input) => input.value);

export const task = () => picked("tasks")[0] ?? "";

function showTask() {
  const name = task();
  const spec = index.tasks.find((each) => each.name === name);
  $("task-hint").textContent = HINTS[name] ?? "";
  $("picture-part").hidden = spec?.query === "text";
  $("clothes-drop").hidden = Boolean(spec) && spec.instruction !== "clothes";
  $("clothes-strip").hidden = $("clothes-drop").hidden;
  $("text").disabled = spec?.instruction === "clothes";
  $("text").placeholder = spec?.canonical ?? (spec?.instruction === "clothes" ? "the clothes image is the instruction" : "e.g. a man in a red coat and black trousers");
  $("text-label").textContent = spec?.query === "text" ? "Description" : "Instruction";
  const banks = spec ? [spec] : index.tasks;
  $("sentences").replaceChildren(
    el("option", { value: "" }, "Suggested sentences…"),
    ...banks
      .filter((each) => each.bank.length)
      .map((each) => el("optgroup", { label: each.title }, ...each.bank.map((sentence) => el("option", {}, sentence)))),
  );
  $("sentences").hidden = !banks.some((each) => each.bank.length);
}

function countFilters() {
  const parts = ["datasets", "cameras", "modalities"].reduce((sum, id) => sum + picked(id).length, 0);
  const count = parts + Boolean($("since").value) + Boolean($("until").value);
  $("filter-count").hidden = !count;
  $("filter-count").textContent = count;
}

/** A drop zone with its file input and its strip of what was chosen. */
function drop(name, list, most) {
  const zone = $(`${name}-drop`);
  const input = $(`${name}-file`);
  input.addEventListener("change", () => {
    addFiles(name, list, [...input.files], most);
    input.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    addFiles(name, list, [...event.dataTransfer.files], most);
  });
}

function addFiles(name, list, files, most) {
  const fitting = files.filter((file) => file.size <= index.limits.image_bytes);
  const made = fitting.map((file) => ({ file, url: URL.createObjectURL(file) }));
  if (most === 1 && made.length) list.length = 0;
  const taken = made.slice(0, most - list.length);
  for (const { url } of made.slice(taken.length)) URL.revokeObjectURL(url);
  list.push(...taken);
  drawStrips();
  const mebibytes = Math.floor(index.limits.image_bytes / 2 ** 20);
  const told = [];
  if (fitting.length < files.length) told.push(`Images larger than ${mebibytes} MiB were skipped.`);
  if (taken.length < made.length) told.push(`Only ${taken.length} of ${made.length} images were added: at most ${most} are allowed.`);
  changed(told.join(" "));
}

/** Show what is chosen. */
export function drawStrips() {
  for (const [name, list] of [["picture", query.pictures], ["clothes", query.clothes], ["negative", query.negatives]]) {
    $(`${name}-strip`).replaceChildren(...list.map((item, place) => tile(item, place, list)));
    $(`${name}-drop`).classList.toggle("full", list.length > 0);
  }
  $("negative-count").hidden = !query.negatives.length;
  $("negative-count").textContent = query.negatives.length;
}

function tile(item, place, list) {
  const named = item.file ? item.file.name : `gallery image ${item.image}`;
  const image = el("img", { alt: named, src: item.url ?? "" });
  if (!item.file) thumbnail(item.image).then((url) => (image.src = url), () => (image.alt = "image no longer available"));
  const remove = () => {
    list.splice(place, 1);
    drawStrips();
  };
  return el("li", {}, image, el("button", { type: "button", "aria-label": `Remove ${named}`, onclick: remove }, "✕"));
}

/** The instructions to ask with: one, or two to compare. */
export function columns() {
  const made = [{ task: task(), text: $("text").disabled ? "" : $("text").value.trim(), view: "" }];
  if ($("compare-part").open) made.push({ task: $("task-b").value, text: $("text-b").value.trim(), view: "" });
  return made;
}

const seconds = (id) => ($(id).value ? Date.parse(`${$(id).value}Z`) / 1000 : null); // the fields are in UTC

/** A search as multipart form. */
export function formOf(column, first) {
  const form = new FormData();
  const isTextOnly = index.tasks.find((each) => each.name === column.task)?.query === "text";
  const add = (list, file, image) => {
    for (const item of list) item.file ? form.append(file, item.file, "picture") : form.append(image, item.image);
  };
  if (!isTextOnly) {
    add(query.pictures, "images", "like");
    add(query.negatives, "negatives", "unlike");
    const takesClothes = !column.task || index.tasks.find((each) => each.name === column.task)?.instruction === "clothes";
    // Beside a second instruction, clothes go with the list that has no words.
    const isSpare = column.text && !column.task && $("compare-part").open;
    if (takesClothes && query.clothes.length && !isSpare) form.append("clothes", query.clothes[0].file, "clothes");
  }
  for (const name of ["text", "task", "view"]) if (column[name]) form.append(name, column[name]);
  for (const name of picked("datasets")) form.append("datasets", name);
  for (const name of picked("cameras")) form.append("camids", name);
  for (const name of picked("modalities")) form.append("modalities", name);
  if (seconds("since") !== null) form.append("since", seconds("since"));
  if (seconds("until") !== null) form.append("until", seconds("until"));
  form.append("top", $("top").value);
  form.append("first", first);
  if ($("re-rank").checked) form.append("re_rank", "true");
  return form;
}

/** Everything on the left, to come back to. */
export function remember() {
  return {
    pictures: [...query.pictures],
    negatives: [...query.negatives],
    clothes: [...query.clothes],
    task: task(),
    text: $("text").value,
  };
}

/** Put back what ``remember`` gave. */
export function restore(kept) {
  for (const name of ["pictures", "negatives", "clothes"]) query[name].splice(0, Infinity, ...kept[name]);
  for (const input of $("tasks").querySelectorAll("input")) input.checked = input.value === kept.task;
  $("text").value = kept.text;
  showTask();
  drawStrips();
}
