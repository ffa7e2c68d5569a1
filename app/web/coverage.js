// How many jobs are embedded: a bar that moves while a backfill runs.

import { el } from "./dom.js";
import { count, percent, plural } from "./format.js";

const STATES = [
  ["embedded", "Embedded", "compared in every answer"],
  ["pending", "Pending", "wait for their embedding"],
  ["stale", "Stale", "were embedded by another model"],
  ["malformed", "Malformed", "have bytes that are no embedding"],
  ["quarantined", "Quarantined", "could not be embedded; the doctor says why"],
  ["blank", "Blank", "have no text to embed"],
];
// The pace is that of the last half minute: a backfill may pause.
const PACE_OVER_MS = 30_000;

/** `show(jobs)` renews the card with the counts of /readyz; returns how many wait. */
export function createCoverage() {
  const share = el("p", { class: "big" });
  const told = el("p", { class: "hint" });
  const { bar, renew: renewBar } = createBar();
  const { legend, renew: renewLegend } = createLegend();
  const element = el(
    "section",
    { class: "card wide", "aria-labelledby": "coverage-title" },
    el("h2", { id: "coverage-title" }, "Coverage"),
    el("div", { class: "coverage-head" }, share, told),
    bar,
    legend,
  );
  const history = [];

  function show(jobs) {
    const withText = STATES.reduce((sum, [state]) => sum + jobs[state], 0) - jobs.blank;
    const waiting = jobs.pending + jobs.stale + jobs.malformed;
    remember(history, jobs.embedded);
    share.textContent = withText ? percent(jobs.embedded / withText) : "–";
    told.textContent = sentence(jobs.embedded, withText, waiting, pace(history));
    renewBar(jobs, withText);
    renewLegend(jobs);
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
  const renew = (jobs, withText) => {
    bar.setAttribute("aria-valuemax", withText || 1);
    bar.setAttribute("aria-valuenow", jobs.embedded);
    bar.setAttribute("aria-valuetext", `${count(jobs.embedded)} of ${plural(withText, "job")} embedded`);
    for (const [state, part] of parts) {
      part.style.width = `${withText ? (100 * jobs[state]) / withText : 0}%`;
    }
  };
  return { bar, renew };
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
  const renew = (jobs) => {
    for (const [state, figure] of counts) {
      figure.textContent = count(jobs[state]);
      figure.parentElement.classList.toggle("none", jobs[state] === 0);
    }
  };
  return { legend, renew };
}

function remember(history, embedded) {
  const now = performance.now();
  history.push({ at: now, embedded });
  while (history.length > 2 && now - history[0].at > PACE_OVER_MS) {
    history.shift();
  }
}

/** Jobs a second, 0 when it is not known. */
function pace(history) {
  const [first, last] = [history[0], history.at(-1)];
  const seconds = (last.at - first.at) / 1000;
  return seconds > 0 ? Math.max(0, (last.embedded - first.embedded) / seconds) : 0;
}

function sentence(embedded, withText, waiting, perSecond) {
  if (!withText) {
    return "There is no job with a text yet.";
  }
  const state = `${count(embedded)} of ${plural(withText, "job")} can be recommended.`;
  if (!waiting) {
    return state;
  }
  if (!perSecond) {
    return `${state} ${count(waiting)} wait for a backfill.`;
  }
  const left = waiting / perSecond;
  const time = left < 90 ? plural(Math.max(1, Math.round(left)), "second") : plural(Math.round(left / 60), "minute");
  const rate = perSecond < 0.1 ? "less than 0.1" : perSecond.toFixed(perSecond < 10 ? 1 : 0);
  return `${state} ${count(waiting)} wait: ${rate} a second, about ${time} left.`;
}
