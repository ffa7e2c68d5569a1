// The Health view. It polls /readyz and /metrics while it is visible.

import { ApiError, feedbackReport, metricsText, ready } from "./api.js";
import { createCoverage } from "./coverage.js";
import { announce, byId, el } from "./dom.js";
import { createBatches, createLatency, createMemory } from "./figures.js";
import { plural } from "./format.js";
import { parseMetrics } from "./metrics.js";
import { createNotice } from "./notice.js";
import { createOnline } from "./online.js";

// The service counts its rows at most every 5 s. Poll that often during a backfill.
const BUSY_POLL_MS = 5_000;
const IDLE_POLL_MS = 15_000;
// Polling may take at most a twentieth of the service's time.
const TIMES_COST = 20;

export class HealthView {
  #place = byId("health-cards");
  #status = createStatus();
  #coverage = createCoverage();
  #online = createOnline();
  #figures = [createMemory(), createBatches(), createLatency()];
  #notice = createNotice(byId("health-problem"), {
    retry: () => this.enter(),
    next: () => byId("health-title"),
  });
  #timer = null;
  #request = null; // the AbortController of the last poll, while the view is visible

  constructor() {
    byId("health-status").append(this.#status.element);
    const cards = [this.#coverage, ...this.#figures, this.#online];
    this.#place.append(...cards.map((each) => each.element));
    document.addEventListener("visibilitychange", () => {
      if (this.#request && !document.hidden) {
        this.enter();
      } else {
        clearTimeout(this.#timer); // a hidden tab does not poll
      }
    });
  }

  /** Poll now and repeatedly until `leave()`. */
  async enter() {
    this.leave();
    const mine = new AbortController();
    this.#request = mine;
    try {
      await this.#poll(mine.signal);
    } catch (error) {
      if (this.#request === mine) {
        this.#fail(error);
      }
    }
  }

  leave() {
    clearTimeout(this.#timer);
    this.#notice.stop();
    this.#request?.abort();
    this.#request = null;
  }

  async #poll(signal) {
    const start = performance.now();
    const readiness = await this.#ready(signal);
    const waiting = readiness.jobs ? this.#coverage.show(readiness.jobs) : 0;
    const samples = parseMetrics(await metricsText(signal));
    this.#figures.forEach((each) => each.show(samples));
    this.#online.show(await feedbackReport(signal));
    this.#notice.clear();
    this.#place.hidden = false;
    this.#place.classList.remove("old");
    const cost = performance.now() - start;
    const pause = Math.max(waiting ? BUSY_POLL_MS : IDLE_POLL_MS, cost * TIMES_COST);
    this.#timer = setTimeout(() => this.enter(), pause);
  }

  /** Fetch /readyz and show it as the status, even if /metrics fails later. */
  async #ready(signal) {
    try {
      const readiness = await ready(signal);
      this.#status.show("good", "Ready", `Model ${readiness.model} · ${plural(readiness.users ?? 0, "user")}`);
      return readiness;
    } catch (error) {
      if (error instanceof ApiError && error.status >= 500) {
        this.#status.show("bad", "Not ready", "");
      } else if (error instanceof ApiError) {
        this.#status.show("unknown", "Unknown", "");
      }
      throw error;
    }
  }

  #fail(error) {
    if (!(error instanceof ApiError)) {
      throw error; // a bug of the page: watch.js reports it
    }
    this.#place.classList.add("old");
    this.#notice.show(error);
  }
}

/** The status line: a lamp, its meaning, and the model. */
function createStatus() {
  const lamp = el("span", { class: "lamp", "aria-hidden": "true" });
  const title = el("b", {}, "Loading …");
  const text = el("p");
  return {
    element: el("section", { class: "card status", "aria-label": "Status" }, lamp, title, text),
    show(state, status, details) {
      if (title.textContent !== status) {
        announce(`Status: ${status}.`);
      }
      lamp.className = `lamp ${state}`;
      title.textContent = status;
      text.textContent = details;
    },
  };
}
