// The API key: requested when the service needs one, and kept for this tab only.

import { announce, byId } from "./dom.js";

const NAME = "api-key";
let asking = null;
let declinedAt = -Infinity; // the time of the last "Not now"
let unstoredKey = null; // in memory only, if the browser blocks storage

export const storedKey = () => inStorage((storage) => storage.getItem(NAME)) ?? unstoredKey;

/** Set up the button that removes the key. */
export function prepareKey(onForgotten) {
  const forget = byId("forget-key");
  forget.hidden = !storedKey();
  forget.addEventListener("click", () => {
    keep(null);
    announce("API key removed.");
    onForgotten();
  });
}

/**
 * Ask the visitor for a key. Resolves to false if the visitor declines. `refused`: the
 * key that the service refused, in a request sent at `sentAt` (`performance.now()`).
 * Concurrent calls share one dialog; "Not now" declines all requests sent before it.
 */
export function askForKey(refused, sentAt) {
  const kept = storedKey();
  if (kept && kept !== refused) {
    return Promise.resolve(true); // the visitor has just entered a key
  }
  if (sentAt <= declinedAt) {
    return Promise.resolve(false);
  }
  asking ??= ask(Boolean(refused)).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(wasRefused) {
  const dialog = byId("key-dialog");
  const input = byId("key");
  const before = document.activeElement;
  input.value = "";
  byId("key-problem").textContent = wasRefused ? "The service refused this key. Check that it is complete." : "";
  input.setAttribute("aria-invalid", String(wasRefused));
  return new Promise((resolve) => {
    const stop = new AbortController();
    const once = { signal: stop.signal };
    byId("key-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        const problem = whyInvalid(input.value.trim());
        if (problem) {
          byId("key-problem").textContent = problem;
          input.focus();
          return;
        }
        keep(input.value.trim());
        dialog.close();
      },
      once,
    );
    byId("key-cancel").addEventListener("click", () => dialog.close(), once);
    dialog.addEventListener(
      "close",
      () => {
        stop.abort();
        const entered = input.value.trim() !== "" && storedKey() === input.value.trim();
        input.value = "";
        before?.focus?.();
        if (!entered) {
          declinedAt = performance.now();
        }
        resolve(entered);
      },
      once,
    );
    dialog.showModal();
    input.focus();
  });
}

function whyInvalid(key) {
  if (!key) {
    return "Enter the key.";
  }
  // Headers cannot contain other characters: the browser would refuse the request.
  return /^[\x20-\x7e]+$/.test(key) ? "" : "A key may contain only ASCII characters.";
}

function keep(key) {
  unstoredKey = key;
  inStorage((storage) => (key ? storage.setItem(NAME, key) : storage.removeItem(NAME)));
  byId("forget-key").hidden = !key;
}

/** The result of `use(sessionStorage)`; null if the browser blocks storage. */
function inStorage(use) {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}
