// The API key: asked for when the service wants one, kept for this tab only.

import { announce, byId } from "./dom.js";

const NAME = "api-key";
let asking = null;
let declinedAt = -Infinity; // when the person last would rather not give one

export const storedKey = () => sessionStorage.getItem(NAME);

/** Show or hide what belongs to a kept key. */
export function prepareKey(onForgotten) {
  const forget = byId("forget-key");
  forget.hidden = !storedKey();
  forget.addEventListener("click", () => {
    sessionStorage.removeItem(NAME);
    forget.hidden = true;
    announce("The API key is forgotten.");
    onForgotten();
  });
}

/**
 * Ask for a key; true once there is one, false when the person would rather not.
 * `refused` is the key that was refused, to a request sent at `sentAt`
 * (`performance.now()`). All who ask meanwhile share one dialog, and its "no" holds
 * for every request that was on its way then.
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
        if (!input.value.trim()) {
          byId("key-problem").textContent = "Type or paste the key first.";
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

function keep(key) {
  sessionStorage.setItem(NAME, key);
  byId("forget-key").hidden = false;
}
