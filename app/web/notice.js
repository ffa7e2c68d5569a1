// Error notices with automatic retries.

import { el, keepFocus } from "./dom.js";
import { plural } from "./format.js";

// The maximum of the exponential backoff.
const MAX_DELAY_S = 30;

/**
 * Shows one error at a time in `place`. `retry` is called after the delay. `next()` gets
 * the focus if a notice with the focused button disappears.
 */
export function createNotice(place, { retry, next }) {
  let timer = null;
  let failures = 0;

  const show = (error) => {
    stop();
    failures += 1;
    const { box, clock, button } = draw(error, again);
    keepFocus(() => place.replaceChildren(box), () => button ?? next());
    if (error.retryAfterS !== null) {
      countDown(Math.max(error.retryAfterS, Math.min(MAX_DELAY_S, 2 ** (failures - 1))), clock);
      window.addEventListener("online", again);
    }
  };
  const again = () => {
    stop();
    retry();
  };
  const countDown = (left, clock) => {
    clock.textContent = `Trying again in ${plural(left, "second")}.`;
    timer = setTimeout(() => (left > 1 ? countDown(left - 1, clock) : again()), 1000);
  };
  const stop = () => {
    clearTimeout(timer);
    window.removeEventListener("online", again);
  };
  const clear = () => {
    stop();
    failures = 0;
    keepFocus(() => place.replaceChildren(), next);
  };
  return { show, clear, stop };
}

function draw(error, again) {
  // Outside of the alert: it changes every second.
  const clock = el("p", { class: "clock", "aria-hidden": "true" });
  const isTransient = error.retryAfterS !== null;
  const button = action(error, again);
  const box = el(
    "div",
    { class: isTransient ? "notice transient" : "notice" },
    el(
      "div",
      { role: "alert" },
      el("p", { class: "notice-title" }, error.title),
      el("p", { dir: "auto" }, error.message),
      isTransient && el("p", { class: "unseen" }, "The page will try again."),
    ),
    isTransient && clock,
    button,
  );
  return { box, clock, button };
}

function action(error, again) {
  if (error.reloads) {
    return el("button", { type: "button", onclick: () => location.reload() }, "Reload the page");
  }
  if (error.status === 401) {
    return el("button", { type: "button", onclick: again }, "Enter the API key");
  }
  return error.retryAfterS === null
    ? null
    : el("button", { type: "button", onclick: again }, "Try now");
}
