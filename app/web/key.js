// The API key: asked for when the service wants one, kept for this tab only.

import { announce, byId } from "./dom.js";

const NAME = "api-key";
let asking = null;
let declinedAt = -Infinity; // when the visitor last chose "Not now"
let remembered = null; // where the browser stores nothing: until the page is left

export const storedKey = () => inStorage((storage) => storage.getItem(NAME)) ?? remembered;

/** Show or hide what belongs to a kept key. */
export function prepareKey(onForgotten) {
  const forget = byId("forget-key");
  forget.hidden = !storedKey();
  forget.addEventListener("click", () => {
    keep(null);
    announce("The API key is forgotten.");
    onForgotten();
  });
}

/**
 * Ask for a key; true once there is one, false when the visitor declines. `refused` is
 * the key that was refused, to a request sent at `sentAt` (`performance.now()`). Calls
 * that overlap share one dialog; declining answers every request sent before it.
 */
export function askForKey(refused, sentAt) {
  const kept = storedKey();
  if (kept && kept !== refused) {
    return Promise.resolve(true); // another request has asked already
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
  byId("key-problem").textContent = wasRefused ? "This key was refused. Is it complete?" : "";
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
        const given = input.value.trim() !== "" && storedKey() === input.value.trim();
        input.value = "";
        before?.focus?.();
        if (!given) {
          declinedAt = performance.now();
        }
        resolve(given);
      },
      once,
    );
    dialog.showModal();
    input.focus();
  });
}

function whyInvalid(key) {
  if (!key) {
    return "Type or paste the key first.";
  }
  // No header can hold other characters: the request would fail, not the key.
  return /^[\x20-\x7e]+$/.test(key) ? "" : "A key has only the letters, digits and signs of ASCII.";
}

function keep(key) {
  remembered = key;
  inStorage((storage) => (key ? storage.setItem(NAME, key) : storage.removeItem(NAME)));
  byId("forget-key").hidden = !key;
}

/** What `use` gives of the tab's storage; null where the browser blocks it. */
function inStorage(use) {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}
