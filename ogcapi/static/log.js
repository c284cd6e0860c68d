// Shows one log of a job and follows it while it grows: only what is new is asked for.
"use strict";

const FIRST_BYTES = 65536; // of a long log, its end
const KEPT_CHARACTERS = 400000;
const PERIOD = 1000;

const section = document.getElementById("logs");
const choice = document.getElementById("log");
const text = document.getElementById("log-text");
const main = document.getElementById("content");
let place = 0; // bytes that were read
let chosen = false; // by the reader; else the newest log is shown
let wanted = ""; // an index whose log is not there yet
let turn = 0;

function show(more, anew) {
  const following = text.scrollTop + text.clientHeight >= text.scrollHeight - 5;
  text.textContent = ((anew ? "" : text.textContent) + more).slice(-KEPT_CHARACTERS);
  if (following || anew) {
    text.scrollTop = text.scrollHeight;
  }
}

async function read(anew) {
  const range = anew ? `bytes=-${FIRST_BYTES}` : `bytes=${place}-`;
  const answer = await fetch(choice.dataset.base + choice.value, {
    headers: { Accept: "text/plain", Range: range },
    cache: "no-store",
  });
  if (answer.status === 206) {
    const [, first, last] = answer.headers.get("Content-Range").match(/bytes (\d+)-(\d+)/);
    const more = await answer.text();
    if (anew || Number(first) === place) {
      place = Number(last) + 1;
      show(more, anew);
    }
  } else if (answer.ok) {
    const whole = await answer.arrayBuffer();
    place = whole.byteLength;
    show(new TextDecoder().decode(whole), true);
  } // else there is nothing new (416), or the log is gone: what is shown stays
}

async function follow(mine, anew) {
  try {
    if (choice.value && !document.hidden) {
      await read(anew);
    }
  } catch {
    anew = anew && place === 0; // the server is away: ask later
  }
  if (mine === turn && !(main.hasAttribute("data-final") && !anew)) {
    window.setTimeout(() => follow(mine, false), PERIOD);
  }
}

function start() {
  turn += 1;
  place = 0;
  follow(turn, true);
}

// New logs appear while a job runs.
document.addEventListener("refreshed", (event) => {
  const fresh = event.detail.getElementById("log");
  const last = event.detail.getElementById("content").hasAttribute("data-final");
  if (fresh && fresh.options.length > 0) {
    const before = choice.value;
    choice.replaceChildren(...document.importNode(fresh, true).options);
    const still = [...choice.options].some((option) => option.value === before);
    choice.value = still && (chosen || !last) && before ? before : choice.options[0].value;
    choose();
    section.hidden = false;
    if (choice.value !== before || last) {
      start();
    }
  }
  main.toggleAttribute("data-final", last);
});

function choose() {
  const option = [...choice.options].find((entry) => entry.value.includes(`?${wanted}&`));
  if (wanted && option) {
    choice.value = option.value;
    chosen = true;
    wanted = "";
  }
  return Boolean(option);
}

choice.addEventListener("change", () => {
  chosen = true;
  start();
});

// A tile or index leads to its log, as soon as there is one.
document.getElementById("steps").addEventListener("click", (event) => {
  const { step, index } = event.target.dataset;
  if (index !== undefined) {
    wanted = new URLSearchParams({ step, index }).toString();
    if (choose()) {
      start();
      section.scrollIntoView();
    }
  }
});

document.querySelectorAll("#logs .needs-script").forEach((element) => element.removeAttribute("hidden"));
document.querySelectorAll("#logs .no-script").forEach((element) => element.setAttribute("hidden", ""));
if (choice.options.length > 0) {
  start();
}
