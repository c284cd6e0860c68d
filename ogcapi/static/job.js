// Follows a running job without reloading the page.
"use strict";

const page = document.querySelector("[data-job]");
const FINAL = ["successful", "failed", "dismissed"];

async function follow() {
  const answer = await fetch(page.dataset.job, { headers: { Accept: "application/json" } });
  if (answer.ok) {
    const job = await answer.json();
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
