// Save and dismiss buttons on the cards of a search by user.

import { ApiError, feedbackOf, giveFeedback } from "./api.js";
import { announce, bdi, el, unseen } from "./dom.js";
import { jobTitle } from "./facts.js";

export class Feedback {
  #user;
  #saved = new Set(); // ids as text, like those below
  #dismissed = new Set();
  #saveButtons = new Map();

  constructor(user) {
    this.#user = user;
    this.#load();
  }

  /** Add the buttons to a job's card, or show that the job was dismissed. */
  attach(card, job) {
    const id = String(job.job_id);
    const title = jobTitle(job);
    const save = el("button", { type: "button", class: "quiet" }, "Save", unseen(" ", bdi(title)));
    const dismiss = el("button", { type: "button", class: "quiet" }, "Dismiss", unseen(" ", bdi(title)));
    const undo = el("button", { type: "button", class: "quiet" }, "Undo");
    const problem = el("p", { role: "alert", class: "hint" });
    const undoProblem = el("p", { role: "alert", class: "hint" });
    const gone = el("div", { class: "dismissed" }, el("p", {}, "Dismissed: ", bdi(title)), undo, undoProblem);
    card.append(el("div", { class: "acts" }, save, dismiss, problem));
    const content = [...card.childNodes];

    this.#saveButtons.set(id, save);
    this.#showSaved(id);
    if (this.#dismissed.has(id)) {
      card.replaceChildren(gone);
    }

    save.addEventListener("click", () =>
      this.#give([job.job_id], "saved", this.#saved.has(id), problem, () => {
        toggle(this.#saved, id);
        this.#showSaved(id);
        announce(this.#saved.has(id) ? `${title} saved.` : `${title} is no longer saved.`);
      }),
    );
    // Near-repeats are other jobs: they would take its place.
    const alike = [job.job_id, ...(job.repeats ?? [])];
    dismiss.addEventListener("click", () =>
      this.#give(alike, "dismissed", false, problem, () => {
        this.#dismissed.add(id);
        card.replaceChildren(gone);
        undo.focus();
        announce(`${title} dismissed.`);
      }),
    );
    undo.addEventListener("click", () =>
      this.#give(alike, "dismissed", true, undoProblem, () => {
        this.#dismissed.delete(id);
        card.replaceChildren(...content);
        dismiss.focus();
        announce(`${title} is back.`);
      }),
    );
  }

  /** Send an event of each job, then call `show`; or say why it was not stored. */
  async #give(jobs, event, undo, problem, show) {
    problem.textContent = "";
    try {
      await giveFeedback(jobs.map((job_id) => ({ user_id: this.#user, job_id, event, undo })));
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error; // a bug of the page: watch.js reports it
      }
      problem.textContent = `Not stored. ${error.message}`;
      return;
    }
    show();
  }

  async #load() {
    let stored;
    try {
      stored = await feedbackOf(this.#user);
    } catch (error) {
      if (error instanceof ApiError) {
        return; // the jobs are there; the buttons report what fails
      }
      throw error;
    }
    for (const { job_id, event } of stored) {
      if (event === "saved") {
        this.#saved.add(String(job_id));
        this.#showSaved(String(job_id));
      }
    }
  }

  #showSaved(id) {
    this.#saveButtons.get(id)?.setAttribute("aria-pressed", String(this.#saved.has(id)));
  }
}

function toggle(set, value) {
  if (!set.delete(value)) {
    set.add(value);
  }
}
