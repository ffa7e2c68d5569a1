// "Similar jobs" of a card: fetched and shown below it when it is opened.

import { ApiError, similarJobs } from "./api.js";
import { bdi, el, meter, unseen } from "./dom.js";
import { facts, jobTitle } from "./facts.js";
import { plural, score } from "./format.js";
import { createNotice } from "./notice.js";

const SHOWN = 5;
let panels = 0;

/** A button, and the panel that it opens. */
export function similarPanel(job, columns) {
  const title = jobTitle(job);
  panels += 1;
  const id = `similar-${panels}`;
  const status = el("p", { role: "status", class: "hint" });
  const problem = el("div");
  const list = el("ol", { class: "similar-jobs", "aria-label": `Jobs like ${title}` });
  const panel = el("div", { class: "similar", id, hidden: true }, status, problem, list);
  const button = el(
    "button",
    { type: "button", class: "quiet", "aria-expanded": "false", "aria-controls": id },
    "Similar jobs",
    unseen(" to ", bdi(title)),
  );
  const notice = createNotice(problem, { retry: () => load(), next: () => button });
  let asked = null;

  button.addEventListener("click", () => {
    const opens = panel.hidden;
    panel.hidden = !opens;
    button.setAttribute("aria-expanded", String(opens));
    if (opens) {
      load();
    } else {
      asked?.abort();
      notice.clear();
    }
  });

  async function load() {
    if (list.children.length) {
      return;
    }
    asked?.abort();
    asked = new AbortController();
    status.textContent = "Looking for similar jobs …";
    try {
      const answer = await similarJobs(job.job_id, SHOWN, asked.signal);
      notice.clear();
      list.replaceChildren(...answer.similar.map((other) => item(other, columns)));
      status.textContent = answer.similar.length
        ? `${plural(answer.similar.length, "job")} like this one, by the meaning of their texts:`
        : (answer.detail ?? "There is no other job to compare with.");
    } catch (error) {
      if (error.name === "AbortError") {
        return;
      }
      status.textContent = "";
      if (!(error instanceof ApiError)) {
        throw error; // a mistake of the page: watch.js says so
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
