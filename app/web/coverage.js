// The coverage card: how many jobs have an embedding, live during a backfill.

import { el } from "./dom.js";
import { count, percent, plural } from "./format.js";

const STATES = [
  ["embedded", "Embedded", "ready to be recommended"],
  ["pending", "Pending", "waiting for an embedding"],
  ["stale", "Stale", "embedded by another model"],
  ["malformed", "Malformed", "invalid embedding bytes"],
  ["quarantined", "Quarantined", "embedding failed; the doctor shows why"],
  ["blank", "Blank", "no text to embed"],
];
// The rate is that of the last half minute: a backfill may pause.
const RATE_WINDOW_MS = 30_000;

/** `show(jobs)` updates the card with the counts of /readyz; returns the backlog. */
export function createCoverage() {
  const share = el("p", { class: "big" });
  const hint = el("p", { class: "hint" });
  const { bar, update: updateBar } = createBar();
  const { legend, update: updateLegend } = createLegend();
  const element = el(
    "section",
    { class: "card wide", "aria-labelledby": "coverage-title" },
    el("h2", { id: "coverage-title" }, "Coverage"),
    el("div", { class: "coverage-head" }, share, hint),
    bar,
    legend,
  );
  const history = [];

  function show(jobs) {
    const withText = STATES.reduce((sum, [state]) => sum + jobs[state], 0) - jobs.blank;
    const waiting = jobs.pending + jobs.stale + jobs.malformed;
    record(history, jobs.embedded);
    share.textContent = withText ? percent(jobs.embedded / withText) : "–";
    hint.textContent = sentence(jobs.embedded, withText, waiting, rate(history));
    updateBar(jobs, withText);
    updateLegend(jobs);
    return waiting;
  }

  return { element, show };
}

/** A stacked bar of all jobs with a text. */
function createBar() {
  const parts = STATES.filter(([state]) => state !== "blank").map(([state]) => [
    state,
    el("span", { class: `part ${state}` }),
  ]);
  const bar = el(
    "div",
    {
      class: "stack",
      role: "progressbar",
      "aria-labelledby": "coverage-title",
      "aria-valuemin": 0,
    },
    ...parts.map(([, part]) => part),
  );
  const update = (jobs, withText) => {
    bar.setAttribute("aria-valuemax", withText || 1);
    bar.setAttribute("aria-valuenow", jobs.embedded);
    bar.setAttribute("aria-valuetext", `${count(jobs.embedded)} of ${plural(withText, "job")} embedded`);
    for (const [state, part] of parts) {
      part.style.width = `${withText ? (100 * jobs[state]) / withText : 0}%`;
    }
  };
  return { bar, update };
}

function createLegend() {
  const counts = STATES.map(([state]) => [state, el("dd")]);
  const legend = el(
    "dl",
    { class: "legend" },
    ...STATES.map(([state, name, meaning], n) =>
      el(
        "div",
        {},
        el("dt", {}, el("span", { class: `dot ${state}`, "aria-hidden": "true" }), name),
        counts[n][1],
        el("dd", { class: "meaning" }, meaning),
      ),
    ),
  );
  const update = (jobs) => {
    for (const [state, figure] of counts) {
      figure.textContent = count(jobs[state]);
      figure.parentElement.classList.toggle("none", jobs[state] === 0);
    }
  };
  return { legend, update };
}

function record(history, embedded) {
  const now = performance.now();
  history.push({ at: now, embedded });
  while (history.length > 2 && now - history[0].at > RATE_WINDOW_MS) {
    history.shift();
  }
}

/** Jobs per second; 0 if unknown. */
function rate(history) {
  const [first, last] = [history[0], history.at(-1)];
  const seconds = (last.at - first.at) / 1000;
  return seconds > 0 ? Math.max(0, (last.embedded - first.embedded) / seconds) : 0;
}

function sentence(embedded, withText, waiting, perSecond) {
  if (!withText) {
    return "No job has a text yet.";
  }
  const state = `${count(embedded)} of ${plural(withText, "job")} can be recommended.`;
  if (!waiting) {
    return state;
  }
  if (!perSecond) {
    return `${state} ${count(waiting)} are waiting for a backfill.`;
  }
  const left = waiting / perSecond;
  const time = left < 90 ? plural(Math.max(1, Math.round(left)), "second") : plural(Math.round(left / 60), "minute");
  const speed = perSecond < 0.1 ? "less than 0.1" : perSecond.toFixed(perSecond < 10 ? 1 : 0);
  return `${state} ${count(waiting)} are waiting: ${speed} per second, about ${time} left.`;
}
