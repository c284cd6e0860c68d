// Follows a running job without reloading the page.
"use strict";

const page = document.querySelector("[data-job]");
const FINAL = ["successful", "failed", "dismissed"];

async function status() {
  try {
    const answer = await fetch(page.dataset.job, { headers: { Accept: "application/json" } });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // the server is away, perhaps being started again: ask later
  }
}

async function follow() {
  const job = await status();
  if (job) {
    document.getElementById("status").textContent = job.status;
    document.getElementById("message").textContent = job.message || "";
    document.getElementById("progress").value = job.progress || 0;
    document.getElementById("percent").textContent = `${job.progress || 0} %`;
    if (FINAL.includes(job.status)) {
      window.location.reload();
      return;
    }
  }
  window.setTimeout(follow, 1000);
}

if (page && !FINAL.includes(document.getElementById("status").textContent)) {
  window.setTimeout(follow, 1000);
}
