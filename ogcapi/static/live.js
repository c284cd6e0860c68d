// Keeps the parts of a page that are marked with data-live as the server would render them now.
// The page is asked for again and its parts are exchanged: there is one rendering, in one language.
// An unchanged page costs nothing but a 304.
"use strict";

const main = document.getElementById("content");
const away = document.getElementById("away");
const period = Number(main.dataset.period);
const seen = new Map();

function exchange(part, fresh) {
  if (seen.get(part.id) === fresh.innerHTML) {
    return; // as it was the last time; what the reader did with it stays
  }
  seen.set(part.id, fresh.innerHTML);
  const open = new Set([...part.querySelectorAll("details[open]")].map((entry) => entry.id));
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...part.querySelectorAll("a, button, summary, [tabindex]")].indexOf(focused) : -1;
  part.replaceChildren(...document.importNode(fresh, true).childNodes);
  for (const entry of part.querySelectorAll("details")) {
    entry.open = entry.open || open.has(entry.id);
  }
  if (place >= 0) {
    part.querySelectorAll("a, button, summary, [tabindex]")[place]?.focus();
  }
}

// Returns whether there will be no more news.
async function refresh() {
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) {
    throw new Error(`${answer.status}`);
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (newer) {
      exchange(part, newer);
    }
  }
  document.dispatchEvent(new CustomEvent("refreshed", { detail: fresh }));
  return fresh.getElementById("content").hasAttribute("data-final");
}

async function follow() {
  let ended = false;
  if (!document.hidden) {
    try {
      ended = await refresh();
      away.hidden = true;
    } catch {
      away.hidden = false; // the server is away, perhaps being started again: ask later
    }
  }
  if (!ended) {
    window.setTimeout(follow, period);
  }
}

for (const part of document.querySelectorAll("[data-live]")) {
  seen.set(part.id, part.innerHTML);
}
if (!main.hasAttribute("data-final")) {
  window.setTimeout(follow, period);
}
