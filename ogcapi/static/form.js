// The form of a process: the request that it stands for, shown as it changes, and files read into view.
"use strict";

import { drawable } from "./form-map.js";

const WAIT = 250; // milliseconds after the last change
const READABLE = 5000000; // bytes of a text file that is shown in the form
const form = document.getElementById("execute");
const preview = document.getElementById("preview");
let timer = 0;
let turn = 0;

// What is sent for the preview: files by name only, their content would tell nobody anything.
function content() {
  const data = new FormData(form);
  for (const [name, value] of [...data.entries()]) {
    if (value instanceof File) {
      data.delete(name);
      if (value.name) {
        data.set(name.replace(/\.file$/, ".name"), value.name);
      }
    }
  }
  return data;
}

async function show() {
  turn += 1;
  const mine = turn;
  const answer = await fetch(form.dataset.preview, { method: "POST", body: content() });
  if (!answer.ok || mine !== turn) {
    return;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const name of ["curl", "python", "request"]) {
    document.getElementById(name).textContent = fresh.getElementById(name).textContent;
  }
  preview.dataset.shown = mine;
}

function changed() {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => show().catch(() => {}), WAIT);
}

// A text that is small enough is shown in the form, where it can be changed and survives an error.
async function read(input) {
  const file = input.files[0];
  const text = document.getElementById(input.id.replace(/\.file$/, ".text"));
  if (!file || !text || file.size > READABLE) {
    return;
  }
  const bytes = await file.arrayBuffer();
  try {
    text.value = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return; // not a text: it is sent as the file that it is
  }
  if (text.value.includes("\0")) {
    text.value = "";
    return;
  }
  input.value = "";
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

form.querySelectorAll('input[type="file"]').forEach((input) => input.addEventListener("change", () => read(input)));
form.addEventListener("input", changed);
form.addEventListener("change", changed);
document.querySelectorAll(".needs-script").forEach((element) => element.removeAttribute("hidden"));
form.querySelectorAll("[data-map]").forEach(drawable);
document.getElementById("errors")?.focus();
