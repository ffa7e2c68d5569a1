// The "Similar jobs" panel of a card, fetched when opened.

import { ApiError, similarJobs } from "./api.js";
import { bdi, el, meter, unseen } from "./dom.js";
import { facts, jobTitle } from "./facts.js";
import { plural, score } from "./format.js";
import { createNotice } from "./notice.js";

const SHOWN = 5;
let panels = 0;

/** A button and the panel that it opens. */
export function similarPanel(job, columns) {
  const title = jobTitle(job);
  panels += 1;
  const id = `similar-${panels}`;
  const status = el("p", { role: "status", class: "hint" });
  const problem = el("div");
  const list = el("ol", { class: "similar-jobs", "aria-label": `Jobs similar to ${title}` });
  const panel = el("div", { class: "similar", id, hidden: true }, status, problem, list);
  const button = el(
    "button",
    { type: "button", class: "quiet", "aria-expanded": "false", "aria-controls": id },
    "Similar jobs",
    unseen(" to ", bdi(title)),
  );
  const notice = createNotice(problem, { retry: () => load(), next: () => button });
  let request = null;

  button.addEventListener("click", () => {
    const opens = panel.hidden;
    panel.hidden = !opens;
    button.setAttribute("aria-expanded", String(opens));
    if (opens) {
      load();
    } else {
      request?.abort();
      notice.clear();
    }
  });

  async function load() {
    if (list.children.length) {
      return;
    }
    request?.abort();
    request = new AbortController();
    status.textContent = "Looking for similar jobs …";
    try {
      const answer = await similarJobs(job.job_id, SHOWN, request.signal);
      notice.clear();
      list.replaceChildren(...answer.similar.map((other) => item(other, columns)));
      status.textContent = answer.similar.length
        ? `${plural(answer.similar.length, "job")} similar to this one:`
        : (answer.detail ?? "There is no other job to compare with.");
    } catch (error) {
      if (error.name === "AbortError") {
        return;
      }
      status.textContent = "";
      if (!(error instanceof ApiError)) {
        throw error; // a bug of the page: watch.js reports it
      }
      if (panel.isConnected) {
        notice.show(error);
      }
    }
  }

  return el("div", { class: "job-foot" }, button, panel);
}

function item(job, columns) {
  const shown = score(job.similarity_score);
  return el(
    "li",
    {},
    el(
      "div",
      { class: "similar-head" },
      el("b", { dir: "auto" }, jobTitle(job)),
      meter("Similarity", job.similarity_score, shown),
      el("span", {}, shown),
    ),
    facts(job, columns),
    el("p", { class: "job-text", dir: "auto" }, job.skills ?? "This job has no text."),
  );
}
