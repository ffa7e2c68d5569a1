// A job card: score, matched skills, text and similar jobs.

import { bdi, el, meter, PARTS, unseen } from "./dom.js";
import { facts, jobTitle } from "./facts.js";
import { percent, score as rounded } from "./format.js";
import { pieces } from "./highlight.js";
import { similarPanel } from "./similar.js";

const MAX_MISSING = 12;

/** A list item. `rankBy` selects the score to show first. */
export function jobCard(job, { rankBy, columns }) {
  const heading = el("h3", { tabindex: "-1", dir: "auto" }, jobTitle(job));
  return el(
    "li",
    { class: "job" },
    el("div", { class: "job-head" }, el("div", {}, heading, facts(job, columns)), score(job, rankBy)),
    reasons(job),
    jobText(job),
    because(job),
    repeats(job),
    similarPanel(job, columns),
  );
}

function score(job, rankBy) {
  if (job.similarity_score == null && !("match_score" in job)) {
    return null; // a popular job, which was compared with nothing
  }
  if (rankBy !== "similarity") {
    const label = rankBy === "skills" ? "Skills matched" : "Match";
    return job.match_score == null
      ? el("p", { class: "score" }, "not yet compared")
      : bar(label, job.match_score, percent(job.match_score), [
          job.parts && partsLegend(job.parts),
          job.relevance && `${job.relevance} match`,
          job.coverage != null && `covers ${percent(job.coverage)} of the job’s skills`,
          job.similarity_score != null && `text similarity ${rounded(job.similarity_score)}`,
          factor(job),
        ], job.parts);
  }
  return bar("Similarity", job.similarity_score, rounded(job.similarity_score), [
    job.match_score != null && `${percent(job.match_score)} of the skills matched`,
    factor(job),
  ]);
}

/** What the job's age and boost did to its score. */
function factor(job) {
  return job.factor != null && `multiplied by ${rounded(job.factor)} for its age or boost`;
}

function bar(label, value, shown, asides, parts = null) {
  const lines = asides
    .filter(Boolean)
    .map((aside) => (aside instanceof Element ? aside : el("p", { class: "aside" }, aside)));
  return el(
    "div",
    { class: "score" },
    el("p", {}, el("span", {}, label), " ", el("b", {}, shown)),
    meter(label, value, shown, parts),
    ...lines,
  );
}

/** What the match consists of: a colour for each part of its bar. */
function partsLegend(parts) {
  return el(
    "p",
    { class: "parts-legend", "aria-label": "The match consists of" },
    PARTS.filter((part) => parts[part]).map((part) =>
      el("span", { class: `part ${part}` }, `${part} ${percent(parts[part])}`),
    ),
  );
}

function reasons(job) {
  if (job.matched == null) {
    return "matched" in job
      ? el("p", { class: "hint" }, "The skills of this job are pending: matches appear once they are extracted.")
      : null;
  }
  const missing = job.missing.map((skill) => tag("missing", "–", "Missing", skill));
  const rest = missing.splice(MAX_MISSING);
  const list = el(
    "ul",
    { role: "list", class: "tags", "aria-label": "Requested skills" },
    job.matched.map((pair) => tag("matched", "✓", "Matched", pair.skill, pair)),
    job.close.map((pair) => tag("close", "≈", "Close", pair.skill, pair)),
    missing,
  );
  if (rest.length) {
    list.append(el("li", {}, moreMissing(list, rest)));
  }
  return list;
}

function moreMissing(list, rest) {
  const button = el("button", { type: "button", class: "quiet" }, `and ${rest.length} more`);
  button.addEventListener("click", () => {
    button.parentElement.replaceWith(...rest);
    rest[0].tabIndex = -1;
    rest[0].focus();
  });
  return button;
}

function tag(kind, sign, label, skill, pair = null) {
  const differs = pair && pair.job_skill.toLowerCase() !== skill.toLowerCase();
  const isSame = differs && pair.similarity === 1;
  return el(
    "li",
    { class: `tag ${kind}` },
    el("span", { "aria-hidden": "true", class: "sign" }, sign),
    unseen(`${label}: `),
    el("bdi", { class: "requested" }, skill),
    isSame && el("span", { class: "same" }, unseen(", the same as "), bdi(pair.job_skill)),
    differs && !isSame && el("span", { class: "found" }, unseen(", in the job: "), bdi(pair.job_skill)),
    differs && !isSame && el("span", { class: "number" }, unseen(", similarity "), rounded(pair.similarity)),
  );
}

/** The saved job that moved this one up. */
function because(job) {
  if (job.because == null) {
    return null;
  }
  // A job that the user applied to is not shown again.
  const isItself = String(job.because) === String(job.job_id);
  const why = isItself ? ["Because you saved this job."] : ["Because you saved or applied to job ", bdi(job.because), "."];
  return el("p", { class: "hint" }, ...why);
}

/** The ids of jobs with almost the same skills. */
function repeats(job) {
  return job.repeats?.length
    ? el("p", { class: "hint" }, "Almost the same: ", bdi(job.repeats.join(", ")))
    : null;
}

function jobText(job) {
  if (!job.skills) {
    return el("p", { class: "hint" }, "This job has no text.");
  }
  const close = new Set(job.close ?? []);
  const parts = pieces(job.skills, [...(job.matched ?? []), ...close]).map(({ text, pair }) =>
    pair ? el("mark", { class: close.has(pair) ? "close" : "matched" }, text) : text,
  );
  return el("p", { class: "job-text", dir: "auto" }, ...parts);
}
