// The second view: asks /readyz and /metrics while it is looked at, gently.

import { ApiError, metricsText, ready } from "./api.js";
import { createCoverage } from "./coverage.js";
import { announce, byId, el, plural } from "./dom.js";
import { createLatency, createMemory, createPasses } from "./figures.js";
import { parseMetrics } from "./metrics.js";
import { createNotice } from "./notice.js";

// The service counts its rows at most every 5 s, and counting reads the whole table.
const MOVING_MS = 5_000;
const CALM_MS = 15_000;
// Looking may take a twentieth of the service's time at most.
const TIMES_COST = 20;

export class HealthView {
  #place = byId("health-cards");
  #status = createStatus();
  #coverage = createCoverage();
  #figures = [createMemory(), createPasses(), createLatency()];
  #notice = createNotice(byId("health-problem"), { retry: () => this.enter() });
  #timer = null;
  #asked = null; // the AbortController of the last look, while the view is shown

  constructor() {
    const cards = [this.#status, this.#coverage, ...this.#figures];
    this.#place.append(...cards.map((each) => each.element));
    document.addEventListener("visibilitychange", () => {
      if (this.#asked && !document.hidden) {
        this.enter();
      } else {
        clearTimeout(this.#timer); // a tab that nobody sees asks nothing
      }
    });
  }

  /** Look now, and again and again until `leave()`. */
  async enter() {
    this.leave();
    const mine = new AbortController();
    this.#asked = mine;
    byId("health-wait").hidden = !this.#place.hidden;
    try {
      await this.#look(mine.signal);
    } catch (error) {
      if (this.#asked === mine) {
        this.#fail(error);
      }
    }
  }

  leave() {
    clearTimeout(this.#timer);
    this.#notice.stop();
    this.#asked?.abort();
    this.#asked = null;
  }

  async #look(signal) {
    const start = performance.now();
    const found = await ready(signal);
    const samples = parseMetrics(await metricsText(signal));
    const cost = performance.now() - start;
    this.#notice.clear();
    byId("health-wait").hidden = true;
    this.#place.hidden = false;
    this.#place.classList.remove("old");
    this.#status.show(found);
    const waiting = this.#coverage.show(found.jobs);
    this.#figures.forEach((each) => each.show(samples));
    const pause = Math.max(waiting ? MOVING_MS : CALM_MS, cost * TIMES_COST);
    this.#timer = setTimeout(() => this.enter(), pause);
  }

  #fail(error) {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    byId("health-wait").hidden = true;
    this.#place.classList.add("old");
    this.#notice.show(error);
  }
}

/** One line: ready, with which model, for how many users. */
function createStatus() {
  const text = el("p");
  let said = false;
  return {
    element: el(
      "section",
      { class: "card wide status", "aria-label": "Status" },
      el("span", { class: "lamp", "aria-hidden": "true" }),
      el("b", {}, "Ready"),
      text,
    ),
    show(found) {
      text.textContent = `Model ${found.model} · ${plural(found.users, "user")}`;
      if (!said) {
        announce("The service is ready.");
        said = true;
      }
    },
  };
}
