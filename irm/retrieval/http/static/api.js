// The server's API: the token, waiting when it is busy, thumbnails kept in memory for a while.

import { $ } from "./dom.js";

const KEPT = 400; // thumbnails
const thumbnails = new Map(); // image id -> promise of an object URL

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** JSON or a blob from the server. Busy answers are tried again when the server says so, up to three times. */
export async function call(path, { form = null, blob = false, signal = null, onwait = null } = {}) {
  for (let attempt = 0; ; attempt++) {
    const headers = {};
    const token = sessionStorage.getItem("token");
    if (token) headers.Authorization = `Bearer ${token}`;
    let answer;
    try {
      answer = await fetch(path, { method: form ? "POST" : "GET", body: form, headers, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "unreachable", "the server cannot be reached");
    }
    if (answer.ok) return blob ? answer.blob() : answer.json();
    const content = await answer.json().catch(() => null);
    const problem = content?.error ?? { code: "unknown", message: `the server answered ${answer.status}` };
    if (answer.status === 401) {
      await askForToken(token);
      continue;
    }
    if (answer.status === 503 && attempt < 3) {
      const seconds = Math.min(10, Number(answer.headers.get("Retry-After")) || 2);
      onwait?.(seconds);
      await new Promise((done) => setTimeout(done, seconds * 1000));
      continue;
    }
    throw new ApiError(answer.status, problem.code, problem.message);
  }
}

let asking = null;

/** Have the person type the server's token; several requests that need it ask once, and fail if it is not given. */
async function askForToken(refused) {
  if (refused !== sessionStorage.getItem("token")) return; // another request has asked meanwhile
  asking ??= new Promise((done, fail) => {
    const dialog = $("token");
    $("token-text").setCustomValidity("");
    $("token-told").hidden = !refused;
    $("token-told").textContent = refused ? "The server rejected this token." : "";
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        const token = $("token-text").value.trim();
        asking = null;
        $("token-text").value = "";
        if (dialog.returnValue !== "given") {
          fail(new ApiError(401, "token_missing", "the server requires its token; reload the page to enter it"));
          return;
        }
        sessionStorage.setItem("token", token);
        done();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

/** A header takes no other signs, and no server's token has any: said before anything is sent. */
$("token-text").addEventListener("input", (event) => {
  const isPlain = /^[ -~]*$/.test(event.target.value.trim());
  event.target.setCustomValidity(isPlain ? "" : "A token may contain only ASCII letters, digits and symbols.");
});

/** An object URL of a gallery image's thumbnail; fetched, because <img> cannot carry a token. */
export function thumbnail(image) {
  let found = thumbnails.get(image);
  if (found) {
    thumbnails.delete(image); // and back in as the youngest
  } else {
    found = call(`/v1/images/${image}/thumbnail`, { blob: true }).then((content) => URL.createObjectURL(content));
    found.catch(() => thumbnails.delete(image));
  }
  thumbnails.set(image, found);
  if (thumbnails.size > KEPT) {
    const [oldest, url] = thumbnails.entries().next().value;
    thumbnails.delete(oldest);
    url.then(URL.revokeObjectURL, () => {});
  }
  return found;
}

/** Nothing seen so far is kept: after somebody was erased. */
export function forgetThumbnails() {
  for (const url of thumbnails.values()) url.then(URL.revokeObjectURL, () => {});
  thumbnails.clear();
}
