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
export const unseen = (text) => el("span", { class: "unseen" }, text);

/** Say something to a screen reader, once, when it has time. */
export function announce(text) {
  const announcer = byId("announcer");
  // The same sentence twice would not be said twice.
  announcer.textContent = announcer.textContent === text ? `${text}\u00a0` : text;
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

const NUMBER = new Intl.NumberFormat("en-GB");

/** 12345 as 12,345. */
export const count = (value) => NUMBER.format(value);

/** "1 job", "2 jobs". */
export const plural = (value, one, many = `${one}s`) =>
  `${count(value)} ${value === 1 ? one : many}`;

export const percent = (share) => `${Math.round(share * 100)} %`;
