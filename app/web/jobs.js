// The "Find jobs" view: searches as the visitor types, and shows the best jobs.

import { addressOf, setAddress } from "./address.js";
import { ApiError, columns as fetchColumns, recommend } from "./api.js";
import { announce, byId, el, keepFocus } from "./dom.js";
import { Feedback } from "./feedback.js";
import { createFilters } from "./filters.js";
import { plural } from "./format.js";
import { createNotice } from "./notice.js";
import { createOrder } from "./order.js";
import { SearchForm, toBody } from "./search.js";
import { jobCard } from "./job.js";

// Debounce: a new chip searches almost at once, typed text after a pause.
const PAUSE_MS = 120;
const TYPING_PAUSE_MS = 450;
// A faster response shows no progress indicator.
const WORKING_AFTER_MS = 150;

const results = () => byId("results-title");

export class JobsView {
  #list = byId("list");
  #weaker = byId("weaker"); // folds the weak matches
  #weakerList = byId("weaker-list");
  #more = byId("more");
  #filters = createFilters({ onChange: (isTyping) => this.#changed(isTyping) });
  #order = createOrder({ onChange: (isTyping) => this.#changed(isTyping) });
  #form = new SearchForm({ onChange: (isTyping) => this.#changed(isTyping) });
  #notice = createNotice(byId("problem"), { retry: () => this.#run(), next: results });
  #moreNotice = createNotice(byId("more-problem"), { retry: () => this.#runMore(), next: results });
  #columns = null; // not loaded yet
  #timer = null;
  #request = null; // the AbortController of the request in flight
  #feedback = null; // of the user whose jobs are shown
  #shown = null; // {key, body, jobs, cursor} of the search whose jobs are shown

  constructor() {
    this.#more.addEventListener("click", () => this.#runMore());
    this.#loadColumns();
  }

  /** Show the search of the address and its results; null is an empty search. */
  enter(search) {
    if (addressOf(search) === addressOf(this.#currentSearch())) {
      return;
    }
    this.#form.set(search);
    this.#filters.set(search?.filters);
    this.#order.set(search?.order);
    setAddress(this.#currentSearch(), "replacing");
    this.#run();
  }

  /** The form's search with its filters and order; null if the form is empty. */
  #currentSearch() {
    const search = this.#form.get();
    return search && { ...search, filters: this.#filters.value(), order: this.#order.value() };
  }

  #changed(isTyping) {
    setAddress(this.#currentSearch(), isTyping ? "typing" : "choosing");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), isTyping ? TYPING_PAUSE_MS : PAUSE_MS);
  }

  async #run() {
    const search = this.#currentSearch();
    const body = search && toBody(search);
    const key = JSON.stringify(body);
    if (body && this.#shown?.key === key && !this.#request) {
      return; // the typed text became a chip
    }
    this.#cancel();
    if (!body) {
      this.#showStart();
      return;
    }
    if (!this.#columns) {
      this.#loadColumns();
    }
    await this.#ask(body, this.#notice, (answer) => {
      this.#shown = { key, body, jobs: answer.recommendations };
      this.#feedback = body.user_id ? new Feedback(body.user_id) : null;
      this.#draw();
      byId("summary").textContent = summary(answer);
      byId("problem").replaceChildren(...messages(answer, this.#filters));
    });
  }

  async #runMore() {
    const search = this.#currentSearch();
    if (!search || JSON.stringify(toBody(search)) !== this.#shown?.key) {
      this.#run(); // the search has changed
      return;
    }
    const { body, cursor } = this.#shown;
    this.#cancel();
    await this.#ask({ ...body, cursor }, this.#moreNotice, (answer) => {
      const stays = [this.#more, results(), document.body].includes(document.activeElement);
      this.#shown.jobs.push(...answer.recommendations);
      const added = this.#append(answer.recommendations);
      if (stays) {
        this.#weaker.open ||= this.#weaker.contains(added[0]);
        added[0]?.querySelector("h3").focus(); // the visitor has not moved the focus
      }
      announce(`${plural(added.length, "more job")}, ${this.#shown.jobs.length} in all.`);
    });
  }

  /** Send a request with a progress indicator; `show` gets the answer unless cancelled. */
  async #ask(body, notice, show) {
    const mine = new AbortController();
    this.#request = mine;
    const indicator = setTimeout(() => this.#working(true), WORKING_AFTER_MS);
    try {
      const answer = await recommend(body, mine.signal);
      if (this.#request === mine) {
        notice.clear();
        keepFocus(() => (byId("start").hidden = true), results);
        this.#filters.learn(answer.recommendations);
        show(answer);
        this.#shown.cursor = answer.next_cursor ?? null;
        keepFocus(() => (this.#more.hidden = !this.#shown.cursor), results);
      }
    } catch (error) {
      if (this.#request === mine) {
        this.#fail(error, notice);
      }
    } finally {
      clearTimeout(indicator);
      if (this.#request === mine) {
        this.#request = null;
        this.#working(false);
      }
    }
  }

  #fail(error, notice) {
    if (notice === this.#notice) {
      // Jobs of the previous search beside this error would look like its results.
      this.#clear();
    }
    if (!(error instanceof ApiError)) {
      throw error; // a bug of the page: watch.js reports it
    }
    notice.show(error);
  }

  /** Cancel the request in flight and the scheduled one. */
  #cancel() {
    clearTimeout(this.#timer);
    this.#request?.abort();
    this.#request = null;
    this.#notice.stop();
    this.#moreNotice.clear();
    this.#working(false);
  }

  #working(isWorking) {
    byId("working").hidden = !isWorking;
    this.#list.classList.toggle("waiting", isWorking);
    this.#weaker.classList.toggle("waiting", isWorking);
    if (isWorking && !this.#shown) {
      keepFocus(() => (byId("start").hidden = true), results);
      byId("summary").textContent = "Looking for jobs …";
    }
  }

  #draw() {
    keepFocus(() => {
      this.#list.replaceChildren();
      this.#weakerList.replaceChildren();
      this.#append(this.#shown.jobs);
      this.#weaker.open = !this.#list.children.length;
    }, results);
  }

  /** Add cards, weak matches to the folded list; returns the cards. */
  #append(jobs) {
    const choice = { rankBy: this.#shown.body.rank_by, columns: this.#columns ?? [] };
    const cards = jobs.map((job) => {
      const card = jobCard(job, choice);
      this.#feedback?.attach(card, job);
      (job.relevance === "weak" ? this.#weakerList : this.#list).append(card);
      return card;
    });
    this.#weaker.hidden = !this.#weakerList.children.length;
    byId("weaker-count").textContent = this.#weakerList.children.length;
    return cards;
  }

  #clear() {
    this.#shown = null;
    keepFocus(() => {
      this.#list.replaceChildren();
      this.#weakerList.replaceChildren();
      this.#weaker.hidden = true;
      byId("start").hidden = true;
      this.#more.hidden = true;
    }, results);
    byId("summary").textContent = "";
  }

  #showStart() {
    this.#notice.clear();
    this.#clear();
    byId("start").hidden = false;
  }

  async #loadColumns() {
    this.#columns = [];
    let answer;
    try {
      answer = await fetchColumns();
    } catch (error) {
      this.#columns = null; // the next search tries again and reports the error
      if (error instanceof ApiError) {
        return;
      }
      throw error;
    }
    this.#columns = answer?.columns ?? [];
    this.#filters.show(this.#columns);
    this.#order.show(this.#columns);
    if (this.#form.suggestRanking(answer?.rank_by)) {
      setAddress(this.#currentSearch(), "replacing");
      this.#run();
    } else if (this.#shown && this.#columns.length) {
      this.#draw(); // the results arrived before the columns
    }
  }
}

function summary(answer) {
  const shown = answer.recommendations.length;
  const took = answer.took === null ? "" : ` in ${Math.max(1, Math.round(answer.took))} ms`;
  const waiting = answer.total_jobs_pending
    ? ` ${plural(answer.total_jobs_pending, "job")} could not be compared yet.`
    : "";
  const compared = answer.total_jobs_analyzed;
  const of = compared
    ? `The best ${shown} of ${plural(compared, "job")}${took}.`
    : `${plural(shown, "job")}${took}.`;
  return (shown ? of : "No job found.") + waiting;
}

/** The service's message, or the reason for an empty list and a way out. */
function messages(answer, filters) {
  if (answer.recommendations.length) {
    return answer.detail ? [el("p", { class: "hint remark" }, answer.detail)] : [];
  }
  const clear = filters.value()
    ? el("button", { type: "button", onclick: filters.clear }, "Clear filters")
    : null;
  return [
    el(
      "div",
      { class: "empty" },
      el("h3", {}, "Nothing to show"),
      el("p", {}, whyNothing(answer, clear !== null)),
      clear,
    ),
  ];
}

function whyNothing(answer, isFiltered) {
  if (answer.detail) {
    return answer.detail;
  }
  if (isFiltered) {
    return "No job matches these filters. Text values must match exactly.";
  }
  return answer.total_jobs_pending
    ? "The jobs have no embeddings yet. The Health view shows the progress."
    : "The table has no jobs yet.";
}
