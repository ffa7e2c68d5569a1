// What went wrong, in one sentence, and when it is tried again.

import { el, plural } from "./dom.js";

// A service that stays away is asked less and less often.
const MOST_S = 30;

/** A place for one problem at a time. `retry` is called when its time has come. */
export function createNotice(place, { retry }) {
  let timer = null;
  let failures = 0;

  const show = (error) => {
    stop();
    failures += 1;
    const { box, clock } = draw(error, again);
    place.replaceChildren(box);
    if (error.retryAfterS !== null) {
      const wait = Math.max(error.retryAfterS, Math.min(MOST_S, 2 ** (failures - 1)));
      countDown(wait, clock);
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
  const stop = () => clearTimeout(timer);
  const clear = () => {
    stop();
    failures = 0;
    place.replaceChildren();
  };
  return { show, clear, stop };
}

function draw(error, again) {
  // Not part of what is announced: it changes every second.
  const clock = el("p", { class: "clock", "aria-hidden": "true" });
  const isPassing = error.retryAfterS !== null;
  const wantsKey = error.status === 401;
  const box = el(
    "div",
    { class: isPassing ? "notice passing" : "notice" },
    el(
      "div",
      { role: "alert" },
      el("p", { class: "notice-title" }, title(error)),
      el("p", {}, error.message),
      isPassing && el("p", { class: "unseen" }, "It is tried again by itself."),
    ),
    isPassing && clock,
    (isPassing || wantsKey) &&
      el("button", { type: "button", onclick: again }, wantsKey ? "Enter the API key" : "Try now"),
  );
  return { box, clock };
}

function title(error) {
  if (error.status === 0) {
    return "No connection";
  }
  if (error.status === 401) {
    return "A key is needed";
  }
  if (error.status === 404) {
    return "Not found";
  }
  if (error.status === 429) {
    return "Too many requests";
  }
  return error.retryAfterS === null ? "That cannot be answered" : "Not available just now";
}
