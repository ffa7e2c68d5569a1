// The second view: polls /readyz and /metrics while it is shown.

import { ApiError, metricsText, ready } from "./api.js";
import { createCoverage } from "./coverage.js";
import { announce, byId, el } from "./dom.js";
import { createBatches, createLatency, createMemory } from "./figures.js";
import { plural } from "./format.js";
import { parseMetrics } from "./metrics.js";
import { createNotice } from "./notice.js";

// The service counts its rows at most every 5 s.
const MOVING_MS = 5_000;
const CALM_MS = 15_000;
// Polling may take a twentieth of the service's time at most.
const TIMES_COST = 20;

export class HealthView {
  #place = byId("health-cards");
  #status = createStatus();
  #coverage = createCoverage();
  #figures = [createMemory(), createBatches(), createLatency()];
  #notice = createNotice(byId("health-problem"), {
    retry: () => this.enter(),
    next: () => byId("health-title"),
  });
  #timer = null;
  #asked = null; // the AbortController of the last poll, while the view is shown

  constructor() {
    byId("health-status").append(this.#status.element);
    const cards = [this.#coverage, ...this.#figures];
    this.#place.append(...cards.map((each) => each.element));
    document.addEventListener("visibilitychange", () => {
      if (this.#asked && !document.hidden) {
        this.enter();
      } else {
        clearTimeout(this.#timer); // a tab that nobody sees asks nothing
      }
    });
  }

  /** Poll now, and again and again until `leave()`. */
  async enter() {
    this.leave();
    const mine = new AbortController();
    this.#asked = mine;
    try {
      await this.#poll(mine.signal);
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

  async #poll(signal) {
    const start = performance.now();
    const found = await this.#ready(signal);
    const waiting = found.jobs ? this.#coverage.show(found.jobs) : 0;
    const samples = parseMetrics(await metricsText(signal));
    this.#figures.forEach((each) => each.show(samples));
    this.#notice.clear();
    this.#place.hidden = false;
    this.#place.classList.remove("old");
    const cost = performance.now() - start;
    const pause = Math.max(waiting ? MOVING_MS : CALM_MS, cost * TIMES_COST);
    this.#timer = setTimeout(() => this.enter(), pause);
  }

  /** What /readyz says; the lamp says it too, also where the metrics fail. */
  async #ready(signal) {
    try {
      const found = await ready(signal);
      this.#status.show("good", "Ready", `Model ${found.model} · ${plural(found.users ?? 0, "user")}`);
      return found;
    } catch (error) {
      if (error instanceof ApiError && error.status >= 500) {
        this.#status.show("bad", "Not ready", "");
      } else if (error instanceof ApiError) {
        this.#status.show("unknown", "Not known", "");
      }
      throw error;
    }
  }

  #fail(error) {
    if (!(error instanceof ApiError)) {
      throw error; // a mistake of the page: watch.js says so
    }
    this.#place.classList.add("old");
    this.#notice.show(error);
  }
}

/** One line: a lamp, what it means, and for which model. */
function createStatus() {
  const lamp = el("span", { class: "lamp", "aria-hidden": "true" });
  const title = el("b", {}, "Asking the service …");
  const text = el("p");
  return {
    element: el("section", { class: "card status", "aria-label": "Status" }, lamp, title, text),
    show(state, said, more) {
      if (title.textContent !== said) {
        announce(`Status: ${said}.`);
      }
      lamp.className = `lamp ${state}`;
      title.textContent = said;
      text.textContent = more;
    },
  };
}
