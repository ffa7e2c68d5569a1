// The card with what users did with the jobs that they were shown.

import { el } from "./dom.js";
import { card, terms } from "./figures.js";
import { count, percent, plural } from "./format.js";

/** `show(report)` updates the card; it is hidden while nothing is stored. */
export function createOnline() {
  const big = el("p", { class: "big" });
  const hint = el("p", { class: "hint" });
  const names = ["Jobs shown", "Saved", "Dismissed", "Applied, of the first ten", "Users"];
  const rest = terms(names);
  const comparisons = el("ul", { class: "comparisons" });
  const element = card("online-title", "What users did", "wide", big, hint, rest.element, comparisons);
  element.hidden = true;

  function show(report) {
    element.hidden = !report?.exposure_days && !report?.answers;
    if (element.hidden) {
      return;
    }
    const { every, first_ten: ten } = report;
    big.textContent = share(every.opened, every.shown);
    hint.textContent = report.answers
      ? `of the jobs in the last ${plural(report.answers, "answer")} were opened, since ${report.since.slice(0, 10)}`
      : "No job has been shown to a user yet.";
    rest.set("Jobs shown", count(every.shown));
    rest.set("Saved", share(every.saved, every.shown));
    rest.set("Dismissed", share(every.dismissed, every.shown));
    rest.set("Applied, of the first ten", share(ten.applied, ten.shown));
    rest.set("Users", count(report.users));
    comparisons.replaceChildren(...report.comparisons.map((each) => el("li", {}, sentence(each))));
  }

  return { element, show };
}

const share = (part, whole) => (whole ? percent(part / whole) : "–");

/** Which of two settings more users prefer, and how sure that is. */
function sentence(found) {
  const [option, values] = found.compared.split("=");
  const [a, b] = values.split("|");
  const start = `${option}, ${plural(found.users, "user")}: ${a} is preferred by ${count(found.prefer_a)}, ${b} by ${count(found.prefer_b)}`;
  if (found.share_b === undefined) {
    return `${start}.`;
  }
  const interval = `${percent(found.low)} to ${percent(found.high)}`;
  return `${start}; that is ${percent(found.share_b)} for ${b} (${interval}), p = ${found.p_value.toFixed(3)}.`;
}
