// Creates elements. The page never parses text as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element. Strings in `children` become text; null and false are skipped. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== false));
  return element;
}

/** Text for screen readers only. */
export const unseen = (...children) => el("span", { class: "unseen" }, ...children);

/** User text inside a sentence, isolated because it may run right to left. */
export const bdi = (text) => el("bdi", {}, text);

/** Announce a text to screen readers. */
export function announce(text) {
  const announcer = byId("announcer");
  // Screen readers skip an unchanged text, so a repeated one is varied.
  announcer.textContent = announcer.textContent === text ? `${text}\u00a0` : text;
}

/**
 * Change the page. If the focused element disappears, focus `next()`; otherwise the
 * focus would move to the top of the page.
 */
export function keepFocus(change, next) {
  const focused = document.activeElement;
  change();
  if (focused !== document.body && !focused.getClientRects().length) {
    next().focus();
  }
}

export const PARTS = ["skills", "words", "text"];

/**
 * A bar from 0 to 1, of one colour or of the `parts` of the value. Widths are set in
 * script: the CSP blocks style attributes.
 */
export function meter(label, value, spoken, parts = null) {
  const share = Math.min(1, Math.max(0, value));
  const fills = parts
    ? PARTS.map((part) => filling(parts[part], part))
    : [filling(share, null)];
  return el(
    "div",
    {
      class: parts ? "bar parts" : "bar",
      role: "meter",
      "aria-label": label,
      "aria-valuemin": 0,
      "aria-valuemax": 1,
      "aria-valuenow": share.toFixed(2),
      "aria-valuetext": spoken,
    },
    ...fills,
  );
}

function filling(share, kind) {
  const fill = el("span", { class: kind });
  fill.style.width = `${Math.min(1, Math.max(0, share)) * 100}%`;
  return fill;
}
