// Why a result is there: heat over both images, gates of each layer, weight of each word; what is held; erase.

import { call, forgetThumbnails, thumbnail } from "./api.js";
import { $, bar, el } from "./dom.js";
import { formOf, query } from "./query.js";
import { forget } from "./session.js";

/** Open the dialog for one hit of a column; ``onerased`` is told when somebody was erased from it. */
export async function look(hit, column, index, onerased) {
  const body = $("look-body");
  body.replaceChildren(el("p", { role: "status" }, "computing the explanation…"));
  if (!$("look").open) $("look").showModal();
  const form = formOf(column, 0);
  form.append("image", hit.image);
  try {
    const found = await call("/v1/explain", { form });
    const first = query.pictures[0];
    const source = first ? (first.url ?? (await thumbnail(first.image))) : null;
    body.replaceChildren(
      el(
        "div",
        { className: "pair" },
        found.query && source && (await heat(source, found.query, "the query")),
        await heat(await thumbnail(hit.image), found.hit, `result ${hit.rank}, ${hit.says}`),
        el("div", { className: "side" }, ...drawWords(found.words), ...drawGates(found.gates)),
      ),
      el("p", { className: "quiet small" }, "Bright areas received most of the class token's attention, accumulated over all layers; dark areas received little."),
    );
  } catch (error) {
    body.replaceChildren(el("p", { className: "warning" }, error.message));
  }
  body.append(drawHeld(hit, index, onerased));
}

/** An image under its attention: what was little looked at is dark. */
async function heat(url, grid, caption) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const width = 256;
  const height = Math.round((width * grid.length) / grid[0].length);
  const canvas = el("canvas", { width, height, role: "img" });
  canvas.setAttribute("aria-label", `${caption}: most attention ${whereOf(grid)}`);
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0, width, height); // stretched, as the model sees it
  const shade = new OffscreenCanvas(grid[0].length, grid.length);
  const pixels = new ImageData(shade.width, shade.height);
  grid.flat().forEach((value, place) => {
    const strong = Math.max(0, value * 2 - 1); // the upper half of the scale turns warm
    pixels.data.set(strong > 0 ? [255, 150, 0, strong * 120] : [8, 14, 30, (1 - value * 2) * 200], place * 4);
  });
  shade.getContext("2d").putImageData(pixels, 0, 0);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(shade, 0, 0, width, height);
  return el("figure", {}, canvas, el("figcaption", {}, caption));
}

/** Where in the image most attention lies, in words. */
function whereOf(grid) {
  const sums = [0, 0, 0];
  grid.forEach((row, y) => {
    sums[Math.min(2, Math.floor((3 * y) / grid.length))] += row.reduce((sum, value) => sum + value, 0);
  });
  return ["at the top", "in the middle", "at the bottom"][sums.indexOf(Math.max(...sums))];
}

function drawGates(gates) {
  if (!gates.length) return [];
  const widest = Math.max(...gates.map(Math.abs), 1e-9);
  const rows = gates.map((gate, place) =>
    el("li", { className: Math.abs(gate) < 1e-6 ? "shut" : "" }, `layer ${place + 1}`, bar(Math.abs(gate) / widest), gate.toFixed(4)),
  );
  return [
    el("h2", {}, "Gates"),
    el("p", { className: "quiet small" }, "How far each layer lets the instruction in; with all gates at zero, it is a plain image model."),
    el("ol", { className: "gates" }, ...rows),
  ];
}

function drawWords(words) {
  if (!words.length) return [];
  const widest = Math.max(...words.map(([, weight]) => weight), 1e-9);
  const spans = words.flatMap(([word, weight]) => {
    const span = el("span", { title: `${(weight * 100).toFixed(1)} %` }, word);
    span.style.setProperty("--part", weight / widest);
    return [span, " "];
  });
  return [el("h2", {}, "Words"), el("p", { className: "words" }, ...spans)];
}

/** What the store holds about an image, and the button that erases it or its person. */
function drawHeld(hit, index, onerased) {
  const text = el("pre", { className: "held" });
  const part = el("details", {}, el("summary", {}, "Data stored about this image"), text);
  part.addEventListener("toggle", async () => {
    if (!part.open || text.textContent) return;
    try {
      text.textContent = JSON.stringify(await call(`/v1/images/${hit.image}`), null, 2);
    } catch (error) {
      text.textContent = error.message;
    }
  });
  if (index.can_erase) part.append(...drawErase(hit, onerased));
  return part;
}

function drawErase(hit, onerased) {
  const told = el("p", { role: "status" });
  const erase = async (name, value, what) => {
    if (!confirm(`Erase ${what} from every view, thumbnail and log? This cannot be undone.`)) return;
    const form = new FormData();
    form.append(name, value);
    try {
      const receipt = await call("/v1/erase", { form });
      forgetThumbnails();
      forget(name === "pids" ? { pid: value } : { image: value });
      told.textContent = `Erased: ${receipt.images} images. Traces found afterwards: ${receipt.found}.`;
      onerased();
    } catch (error) {
      told.textContent = error.message;
    }
  };
  const button = (label, name, value) =>
    el("button", { type: "button", className: "danger", onclick: () => erase(name, value, label) }, `Erase ${label}`);
  const person = hit.pid > 0 && button(`person ${hit.pid}`, "pids", hit.pid);
  return [el("p", { className: "buttons" }, button("this image", "images", hit.image), person), told];
}
