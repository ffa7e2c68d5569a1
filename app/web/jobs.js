// The first view: asks while the visitor types, and shows the best jobs.

import { addressOf, keepAddress } from "./address.js";
import { ApiError, columns as askColumns, recommend } from "./api.js";
import { announce, byId, el, keepFocus } from "./dom.js";
import { createFilters } from "./filters.js";
import { plural } from "./format.js";
import { createNotice } from "./notice.js";
import { Question, toBody } from "./question.js";
import { jobCard } from "./job.js";

// The page asks for a new chip almost at once, for typed text after a pause.
const PAUSE_MS = 120;
const TYPING_PAUSE_MS = 450;
// An answer that is faster needs no sign of work.
const WORKING_AFTER_MS = 150;

const results = () => byId("results-title");

export class JobsView {
  #list = byId("list");
  #more = byId("more");
  #filters = createFilters({ onChange: (isTyping) => this.#changed(isTyping) });
  #question = new Question({ onChange: (isTyping) => this.#changed(isTyping) });
  #notice = createNotice(byId("problem"), { retry: () => this.#run(), next: results });
  #moreNotice = createNotice(byId("more-problem"), { retry: () => this.#runMore(), next: results });
  #columns = null; // not known yet
  #timer = null;
  #asked = null; // the AbortController of the request in flight
  #answered = null; // {key, body, jobs, cursor} of the question whose jobs are shown

  constructor() {
    this.#more.addEventListener("click", () => this.#runMore());
    this.#learnColumns();
  }

  /** Show the question of the address, and its answer; null is none. */
  enter(question) {
    if (addressOf(question) === addressOf(this.#asking())) {
      return;
    }
    this.#question.set(question);
    this.#filters.set(question?.filters);
    keepAddress(this.#asking(), "replacing");
    this.#run();
  }

  /** The question of the form, with its filters; null while nothing is asked. */
  #asking() {
    const question = this.#question.get();
    return question && { ...question, filters: this.#filters.value() };
  }

  #changed(isTyping) {
    keepAddress(this.#asking(), isTyping ? "typing" : "choosing");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), isTyping ? TYPING_PAUSE_MS : PAUSE_MS);
  }

  async #run() {
    const asking = this.#asking();
    const body = asking && toBody(asking);
    const key = JSON.stringify(body);
    if (body && this.#answered?.key === key && !this.#asked) {
      return; // the typed word became a chip
    }
    this.#drop();
    if (!body) {
      this.#showStart();
      return;
    }
    if (!this.#columns) {
      this.#learnColumns();
    }
    await this.#ask(body, this.#notice, (answer) => {
      this.#answered = { key, body, jobs: answer.recommendations };
      this.#draw();
      byId("summary").textContent = summary(answer);
      byId("problem").replaceChildren(...remarks(answer, this.#filters));
    });
  }

  async #runMore() {
    const asking = this.#asking();
    if (!asking || JSON.stringify(toBody(asking)) !== this.#answered?.key) {
      this.#run(); // another question was typed in the meantime
      return;
    }
    const { body, cursor } = this.#answered;
    this.#drop();
    await this.#ask({ ...body, cursor }, this.#moreNotice, (answer) => {
      const added = answer.recommendations.map((job) => this.#card(job));
      const stays = [this.#more, results(), document.body].includes(document.activeElement);
      this.#answered.jobs.push(...answer.recommendations);
      this.#list.append(...added);
      if (stays) {
        added[0]?.querySelector("h3").focus(); // nobody moved on while it was fetched
      }
      announce(`${plural(added.length, "more job")}, ${this.#list.children.length} in all.`);
    });
  }

  /** Ask, with a sign of work; `show` gets the answer unless another question came. */
  async #ask(body, notice, show) {
    const mine = new AbortController();
    this.#asked = mine;
    const sign = setTimeout(() => this.#working(true), WORKING_AFTER_MS);
    try {
      const answer = await recommend(body, mine.signal);
      if (this.#asked === mine) {
        notice.clear();
        keepFocus(() => (byId("start").hidden = true), results);
        this.#filters.learn(answer.recommendations);
        show(answer);
        this.#answered.cursor = answer.next_cursor ?? null;
        keepFocus(() => (this.#more.hidden = !this.#answered.cursor), results);
      }
    } catch (error) {
      if (this.#asked === mine) {
        this.#fail(error, notice);
      }
    } finally {
      clearTimeout(sign);
      if (this.#asked === mine) {
        this.#asked = null;
        this.#working(false);
      }
    }
  }

  #fail(error, notice) {
    if (notice === this.#notice) {
      // Jobs of another question beside this sentence would look like its answer.
      this.#clear();
    }
    if (!(error instanceof ApiError)) {
      throw error; // a mistake of the page: watch.js says so
    }
    notice.show(error);
  }

  /** Forget the request in flight and the one that is scheduled. */
  #drop() {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    this.#asked = null;
    this.#notice.stop();
    this.#moreNotice.clear();
    this.#working(false);
  }

  #working(isWorking) {
    byId("working").hidden = !isWorking;
    this.#list.classList.toggle("waiting", isWorking);
    if (isWorking && !this.#answered) {
      keepFocus(() => (byId("start").hidden = true), results);
      byId("summary").textContent = "Looking for jobs …";
    }
  }

  #draw() {
    keepFocus(
      () => this.#list.replaceChildren(...this.#answered.jobs.map((job) => this.#card(job))),
      results,
    );
  }

  #card(job) {
    return jobCard(job, { rankBy: this.#answered.body.rank_by, columns: this.#columns ?? [] });
  }

  #clear() {
    this.#answered = null;
    keepFocus(() => {
      this.#list.replaceChildren();
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

  async #learnColumns() {
    this.#columns = [];
    let found;
    try {
      found = await askColumns();
    } catch (error) {
      this.#columns = null; // asked again with the next question, which tells why
      if (error instanceof ApiError) {
        return;
      }
      throw error;
    }
    this.#columns = found?.columns ?? [];
    this.#filters.show(this.#columns);
    if (this.#question.suggestRanking(found?.rank_by)) {
      keepAddress(this.#asking(), "replacing");
      this.#run();
    } else if (this.#answered && this.#columns.length) {
      this.#draw(); // the answer was faster than the columns
    }
  }
}

function summary(answer) {
  const shown = answer.recommendations.length;
  const took = answer.took === null ? "" : ` in ${Math.max(1, Math.round(answer.took))} ms`;
  const waiting = answer.total_jobs_pending
    ? ` ${plural(answer.total_jobs_pending, "job")} could not be compared yet.`
    : "";
  const of = `The best ${shown} of ${plural(answer.total_jobs_analyzed, "job")}${took}.`;
  return (shown ? of : "No job found.") + waiting;
}

/** The service's remark on its answer; why the list is empty, and what to do about it. */
function remarks(answer, filters) {
  if (answer.recommendations.length) {
    return answer.detail ? [el("p", { class: "hint remark" }, answer.detail)] : [];
  }
  const clear = filters.value()
    ? el("button", { type: "button", onclick: filters.clear }, "Clear the filters")
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
    return "No job passes these filters. Values must be equal to those in the table.";
  }
  return answer.total_jobs_pending
    ? "The jobs still wait for their embeddings; the view “Health” shows how far they are."
    : "There are no jobs in the table yet.";
}
