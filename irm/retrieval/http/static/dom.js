// Making and finding elements; text always goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes, listeners (on…) and children; null and false children are left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A share of a whole as a bar that the stylesheet draws; the words beside it say the figure. */
export function bar(part) {
  const inner = el("i");
  inner.style.setProperty("--part", Math.max(0, Math.min(1, part)));
  return el("div", { className: "bar", "aria-hidden": "true" }, inner);
}

export const number = (value) => value.toLocaleString("en").replaceAll(",", " ");

/** Seconds since 1970 as a time in UTC, as people write it; seconds only where there are any. */
export function when(seconds) {
  return new Date(seconds * 1000).toISOString().replace("T", " ").replace(/(:00)?\.\d+Z$/, " UTC");
}

/** Offer a text as a file to keep. */
export function download(name, kind, text) {
  const url = URL.createObjectURL(new Blob([text], { type: kind }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
