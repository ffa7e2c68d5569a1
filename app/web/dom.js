// Elements from text. Nothing here, or anywhere on the page, reads text as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element; strings among `children` become text, null and false nothing. */
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

/** Text that only a screen reader says. */
export const unseen = (...children) => el("span", { class: "unseen" }, ...children);

/** Text from elsewhere inside of a sentence; its own letters say its direction. */
export const bdi = (text) => el("bdi", {}, text);

/** Say something to a screen reader, once, when it has time. */
export function announce(text) {
  const announcer = byId("announcer");
  // The same sentence twice would not be said twice.
  announcer.textContent = announcer.textContent === text ? `${text}\u00a0` : text;
}

/**
 * Change the page. Where that takes the focused element away, `next()` gets the focus:
 * a keyboard would start again at the top of the page.
 */
export function keepFocus(change, next) {
  const focused = document.activeElement;
  change();
  if (focused !== document.body && !focused.getClientRects().length) {
    next().focus();
  }
}

/** A bar from 0 to 1 with the role of a meter; the policy allows no style attribute. */
export function meter(label, value, spoken) {
  const share = Math.min(1, Math.max(0, value));
  const fill = el("span");
  fill.style.width = `${share * 100}%`;
  return el(
    "div",
    {
      class: "bar",
      role: "meter",
      "aria-label": label,
      "aria-valuemin": 0,
      "aria-valuemax": 1,
      "aria-valuenow": share.toFixed(2),
      "aria-valuetext": spoken,
    },
    fill,
  );
}
