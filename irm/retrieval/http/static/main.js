// The page: what is on the left becomes a search, what comes back is drawn on the right.

import { call } from "./api.js";
import { $, number } from "./dom.js";
import { look } from "./look.js";
import { columns as askedColumns, drawStrips, formOf, query, remember, restore, setUpQuery } from "./query.js";
import { draw, focused, neighbour, setMark } from "./results.js";
import { keep, setUpSession } from "./session.js";

let index = null;
let columns = []; // {task, text, view, answer, error}
let first = 0; // hits before this page
let shown = null; // the query that the answers belong to
let running = null; // the search under way
const past = []; // queries to go back to

function say(text, isError = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
}

/** Ask with what is on the left; ``asked`` keeps columns that were asked before (pages, another view). */
async function search({ asked = askedColumns(), from = 0, isBack = false } = {}) {
  running?.abort();
  const mine = (running = new AbortController());
  columns = asked.map(({ task, text, view }) => ({ task, text, view }));
  first = from;
  const now = remember();
  if (shown && !isBack && JSON.stringify(shown) !== JSON.stringify(now)) past.push(shown);
  shown = now;
  $("back").disabled = !past.length;
  $("columns").setAttribute("aria-busy", "true");
  say("searching…");
  const onwait = (seconds) => say(`the server is busy; trying again in ${seconds} s`);
  await Promise.all(
    columns.map(async (column) => {
      try {
        column.answer = await call("/v1/search", { form: formOf(column, from), signal: mine.signal, onwait });
      } catch (error) {
        column.error = error.message;
      }
    }),
  );
  if (mine.signal.aborted) return;
  running = null;
  $("columns").removeAttribute("aria-busy");
  show();
}

function show() {
  const answers = columns.map((column) => column.answer).filter(Boolean);
  for (const column of columns) if (column.answer) keep(column, column.answer);
  $("empty").hidden = true;
  if (!answers.length) {
    say([...new Set(columns.map((column) => column.error))].join(" · "), true);
    $("columns").replaceChildren();
    $("pager").hidden = true;
    return;
  }
  draw(columns, index, actions);
  const total = Math.max(...answers.map((answer) => answer.total));
  const page = Number($("top").value);
  const last = Math.min(first + page, total);
  say(total ? `Results ${number(first + 1)} to ${number(last)} of ${number(total)}.` : "No image matches the filter.");
  $("pager").hidden = total <= page;
  $("page-line").textContent = `${number(first + 1)}–${number(last)} of ${number(total)}`;
  $("previous").disabled = first === 0;
  $("next").disabled = last >= total;
  $("answer").scrollIntoView();
}

const actions = {
  /** A result becomes the query; the instruction stays. */
  searchFrom(hit) {
    query.pictures.splice(0, Infinity, { image: hit.image });
    query.negatives.length = 0;
    // A description is not an instruction; clothes that were hidden meanwhile would surprise.
    if (askedColumns()[0].task === "t2i") restore({ ...remember(), task: "", text: "", clothes: [] });
    drawStrips();
    search();
  },
  exclude(hit) {
    if (!query.negatives.some((item) => item.image === hit.image)) query.negatives.push({ image: hit.image });
    $("negative-part").open = true;
    drawStrips();
    search();
  },
  explain: (hit, column) => look(hit, column, index, () => search({ asked: columns, from: first })),
  override(column, view) {
    search({ asked: columns.map((each) => (each === column ? { ...each, view } : each)), from: 0 });
  },
};

function turnPage(step) {
  const to = first + step * Number($("top").value);
  if (columns.length && to >= 0 && !(step > 0 ? $("next") : $("previous")).disabled) search({ asked: columns, from: to });
}

function goBack() {
  if (!past.length) return;
  restore(past.pop());
  search({ isBack: true });
}

function reset() {
  location.reload(); // images, marks and lists are all in memory, and go
}

const KEYS = {
  r: (card) => setMark(card, "right"),
  w: (card) => setMark(card, "wrong"),
  n: (card) => actions.exclude(card.hit),
  e: (card) => actions.explain(card.hit, card.column),
};

function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.preventDefault();
    search();
    return;
  }
  const isTyping = event.target.closest("input, textarea, select, dialog[open]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const card = focused();
  if (event.key === "/") $("text").focus();
  else if (event.key === "?") $("help").showModal();
  else if (event.key === "b") goBack();
  else if (event.key === "[") turnPage(-1);
  else if (event.key === "]") turnPage(1);
  else if (event.key.startsWith("Arrow") && (card || event.target === document.body || event.target === $("answer"))) {
    const next = neighbour(card, event.key);
    if (!next) return;
    next.querySelector(".picture").focus();
    next.scrollIntoView({ block: "nearest" });
  } else if (card && KEYS[event.key]) KEYS[event.key](card);
  else return;
  event.preventDefault();
}

function switchTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  const theme = isDark ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

async function open() {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  $("theme").addEventListener("click", switchTheme);
  $("help-open").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", onKey);
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault()); // never navigate away
  try {
    index = await call("/v1/index");
  } catch (error) {
    $("index-line").textContent = error.message;
    return;
  }
  const people = index.people ? `, ${number(index.people)} people` : "";
  const engine = index.engine === "local" ? "" : ` · searched by ${index.engine}`;
  $("index-line").textContent = `${number(index.images)} images${people} · model ${index.model}${engine}`;
  setUpQuery(index, (told) => told && say(told, true));
  setUpSession(index);
  $("query").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  $("back").addEventListener("click", goBack);
  $("reset").addEventListener("click", reset);
  $("previous").addEventListener("click", () => turnPage(-1));
  $("next").addEventListener("click", () => turnPage(1));
}

open();
