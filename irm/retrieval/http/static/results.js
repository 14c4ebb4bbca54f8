// The right side: ranked lists as grids of images, one or two beside each other.

import { thumbnail } from "./api.js";
import { $, bar, el, number, when } from "./dom.js";
import { mark, markOf } from "./session.js";

/** Draw the answers of all columns; ``actions`` are what a hit's buttons do. */
export function draw(columns, index, actions) {
  $("columns").classList.toggle("two", columns.length > 1);
  $("columns").replaceChildren(
    ...columns.map((column, place) => {
      const other = columns.length > 1 ? columns[1 - place].answer : null;
      column.legend = `legend-${place}`; // the id of what explains the figures below its images
      return drawColumn(column, other, index, actions);
    }),
  );
}

function drawColumn(column, other, index, actions) {
  const { answer } = column;
  if (!answer) return el("section", { className: "column" }, el("p", { className: "warning" }, column.error));
  const title = index.tasks.find((task) => task.name === answer.task)?.title ?? answer.task;
  const words = answer.instruction || column.text;
  const heading = words ? `${title}: “${words}”` : title;
  const grid = el("ol", { className: "grid", "aria-label": `Results: ${heading}`, start: answer.first + 1 });
  grid.append(...answer.hits.map((hit) => drawHit(hit, column, other, index, actions)));
  return el(
    "section",
    { className: "column" },
    el("header", {}, el("h2", {}, heading), drawRoute(column, index, actions)),
    answer.warning && el("p", { className: "warning" }, answer.warning),
    answer.legend && el("p", { className: "quiet small", id: column.legend }, answer.legend),
    answer.hits.length ? grid : el("p", {}, "Nothing is left to search: the filter excludes every image."),
  );
}

/** How the text was understood, and a way to say otherwise. */
function drawRoute(column, index, actions) {
  const { answer } = column;
  const select = el(
    "select",
    { "aria-label": "Gallery view that is searched", onchange: () => actions.override(column, select.value) },
    ...index.views.map((view) =>
      el("option", { value: view.name, selected: view.name === answer.view }, view.title),
    ),
  );
  const reason = column.view ? "you chose this view" : (answer.route?.reason ?? "");
  const milliseconds = Math.round(answer.seconds * 1000);
  return el(
    "p",
    { className: "quiet small" },
    "Gallery view: ", select, ` ${reason ? `(${reason}) ` : ""}· ${number(answer.total)} images · ${milliseconds} ms`,
  );
}

function drawHit(hit, column, other, index, actions) {
  const image = el("img", { alt: "", loading: "lazy" });
  thumbnail(hit.image).then((url) => (image.src = url), () => (image.alt = "image no longer available"));
  const place = [
    hit.camid !== null && `camera ${hit.camid}`,
    hit.dataset && Object.keys(index.datasets).length > 1 && hit.dataset,
    hit.modality === "ir" && "infrared",
    hit.taken !== null && when(hit.taken),
  ].filter(Boolean).join(" · ");
  const name = `Result ${hit.rank}, ${hit.says || hit.score.toFixed(3)}, ${place}`;
  const picture = el(
    "button",
    { type: "button", className: "picture", "aria-label": `${name}. Search from this image`, "aria-describedby": column.legend, title: "Search from this image", onclick: () => actions.searchFrom(hit) },
    image,
    el("span", { className: "rank", "aria-hidden": "true" }, hit.rank),
    drawMove(hit, other),
  );
  const card = el(
    "article",
    { className: "hit" },
    picture,
    el(
      "div",
      { className: "facts" },
      drawFigures(hit, column),
      bar(partOf(hit, column.answer.hits)),
      place,
      hit.pid > 0 && el("div", { className: "quiet" }, `person ${hit.pid}`),
      el("div", { className: "quiet key", title: hit.key }, hit.key.split("/").pop()),
    ),
  );
  card.dataset.image = hit.image;
  card.append(drawButtons(hit, column, card, actions));
  showMark(card, hit.image);
  card.hit = hit;
  card.column = column;
  return el("li", {}, card);
}

/** The score in bold and how rare it is; hovering tells what they mean. */
function drawFigures(hit, column) {
  const score = hit.score.toFixed(3);
  return el(
    "div",
    { className: "figures", title: `${score} · ${column.answer.legend}` },
    el("b", {}, hit.percent === null ? score : `${hit.percent} %`),
    " ",
    el("span", {}, hit.says.replace(/^\d+ %,? ?/, "")),
  );
}

/** The length of a score's bar: its percent where there is one, a cosine as it is, else its place in the list. */
function partOf(hit, hits) {
  if (hit.percent !== null) return hit.percent / 100;
  if (hit.stage === "cosine") return hit.score;
  const scores = hits.map((each) => each.score);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  return high > low ? 0.1 + (0.9 * (hit.score - low)) / (high - low) : 1;
}

/** Where the same image stands in the other list. */
function drawMove(hit, other) {
  if (!other) return null;
  const there = other.hits.find((each) => each.image === hit.image);
  const step = there && there.rank - hit.rank;
  const sign = !there ? "new" : step === 0 ? "=" : step > 0 ? `↑${step}` : `↓${-step}`;
  const said = !there ? "not on the other list's page" : `rank ${there.rank} in the other list`;
  return el("span", { className: "moved", title: said }, el("span", { className: "hidden" }, `, ${said}`), el("span", { "aria-hidden": "true" }, sign));
}

function drawButtons(hit, column, card, actions) {
  const button = (label, sign, kind, onclick) =>
    el("button", { type: "button", "aria-label": `${label}, result ${hit.rank}`, title: label, className: kind, onclick }, sign);
  return el(
    "div",
    { className: "marks" },
    button("Right", "✓", "yes", () => setMark(card, "right")),
    button("Wrong", "✗", "no", () => setMark(card, "wrong")),
    button("Not this person: search again without them", "≠", "", () => actions.exclude(hit)),
    button("Explain", "?", "", () => actions.explain(hit, column)),
  );
}

export function setMark(card, kind) {
  mark(Number(card.dataset.image), kind);
  for (const same of document.querySelectorAll(`.hit[data-image="${card.dataset.image}"]`)) {
    showMark(same, Number(card.dataset.image));
  }
}

function showMark(card, image) {
  const kind = markOf(image);
  card.classList.toggle("right", kind === "right");
  card.classList.toggle("wrong", kind === "wrong");
  card.querySelector(".yes").setAttribute("aria-pressed", kind === "right");
  card.querySelector(".no").setAttribute("aria-pressed", kind === "wrong");
}

/** The card that has the keyboard, and its neighbour in a direction of the arrow keys. */
export const focused = () => document.activeElement?.closest?.(".hit") ?? null;

export function neighbour(card, key) {
  const cards = [...document.querySelectorAll(".hit")];
  if (!card) return cards[0] ?? null;
  const place = cards.indexOf(card);
  if (key === "ArrowRight") return cards[place + 1] ?? null;
  if (key === "ArrowLeft") return cards[place - 1] ?? null;
  const here = card.getBoundingClientRect();
  const sign = key === "ArrowDown" ? 1 : -1;
  const rows = cards
    .map((each) => [each, each.getBoundingClientRect()])
    .filter(([, box]) => sign * (box.top - here.top) > 1 && Math.abs(box.left - here.left) < here.width / 2)
    .sort((a, b) => sign * (a[1].top - b[1].top));
  return rows[0]?.[0] ?? null;
}
