// The first view: asks as one types, and shows the best jobs.

import { ApiError, columns as askColumns, recommend } from "./api.js";
import { announce, byId, el, plural } from "./dom.js";
import { createFilters } from "./filters.js";
import { createNotice } from "./notice.js";
import { Question } from "./question.js";
import { jobCard } from "./job.js";

// A chip is asked for at once, nearly; what is being typed after a pause.
const PAUSE_MS = 120;
const TYPING_PAUSE_MS = 450;
// An answer that is faster needs no sign of work.
const WORKING_AFTER_MS = 150;

export class JobsView {
  #list = byId("list");
  #more = byId("more");
  #filters = createFilters({ onChange: (isTyping) => this.#schedule(isTyping) });
  #question = new Question({ onChange: (isTyping) => this.#schedule(isTyping) });
  #notice = createNotice(byId("problem"), { retry: () => this.#run() });
  #moreNotice = createNotice(byId("more-problem"), { retry: () => this.#runMore() });
  #columns = null; // not known yet
  #timer = null;
  #asked = null; // the AbortController of the request under way
  #answered = null; // {key, body, cursor} of the question whose jobs are shown

  constructor() {
    this.#more.addEventListener("click", () => this.#runMore());
    this.#learnColumns();
  }

  #schedule(isTyping) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), isTyping ? TYPING_PAUSE_MS : PAUSE_MS);
  }

  async #run() {
    const body = this.#question.body(this.#filters.value());
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
      this.#answered = { key, body };
      this.#list.replaceChildren(...this.#cards(answer));
      byId("summary").textContent = summary(answer);
      if (!answer.recommendations.length) {
        byId("problem").replaceChildren(nothing(answer, this.#filters));
      }
    });
  }

  async #runMore() {
    const { body, cursor } = this.#answered;
    this.#drop();
    await this.#ask({ ...body, cursor }, this.#moreNotice, (answer) => {
      const added = this.#cards(answer);
      this.#list.append(...added);
      added[0]?.querySelector("h3").focus();
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
        byId("start").hidden = true;
        this.#filters.learn(answer.recommendations);
        show(answer);
        this.#answered.cursor = answer.next_cursor ?? null;
        this.#more.hidden = !this.#answered.cursor;
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
    if (!(error instanceof ApiError)) {
      throw error;
    }
    if (notice === this.#notice) {
      // Jobs of another question beside this sentence would look like its answer.
      this.#clear();
    }
    notice.show(error);
  }

  /** Forget the request under way and what waits to be asked. */
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
      byId("start").hidden = true;
      byId("summary").textContent = "Looking for jobs …";
    }
  }

  #cards(answer) {
    const rankBy = this.#answered.body.rank_by;
    return answer.recommendations.map((job) =>
      jobCard(job, { rankBy, columns: this.#columns ?? [] }),
    );
  }

  #clear() {
    this.#answered = null;
    this.#list.replaceChildren();
    byId("summary").textContent = "";
    byId("start").hidden = true;
    this.#more.hidden = true;
  }

  #showStart() {
    this.#notice.clear();
    this.#clear();
    byId("start").hidden = false;
  }

  async #learnColumns() {
    this.#columns = [];
    try {
      const found = await askColumns();
      this.#columns = found?.columns ?? [];
      this.#filters.show(this.#columns);
      if (found?.rank_by) {
        this.#question.suggestRanking(found.rank_by);
      }
    } catch {
      this.#columns = null; // asked again with the next question, which tells why
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

/** Why the list is empty, and what to do about it. */
function nothing(answer, filters) {
  const clear = filters.value()
    ? el("button", { type: "button", onclick: filters.clear }, "Clear the filters")
    : null;
  return el(
    "div",
    { class: "empty" },
    el("h3", {}, "Nothing to show"),
    el("p", {}, whyNothing(answer, clear !== null)),
    clear,
  );
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
