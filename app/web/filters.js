// Filters for the columns that the service offers, each with a control of its type.

import { byId, el } from "./dom.js";
import { Chips } from "./chips.js";
import { columnLabel } from "./facts.js";

// Values seen in answers, offered as suggestions.
const MOST_SUGGESTED = 100;

const INPUTS = {
  integer: { type: "number", step: "1" },
  number: { type: "number", step: "any" },
  date: { type: "date" },
  timestamp: { type: "datetime-local" },
};

/** Nothing is shown before `show(columns)`, or when there are no columns. */
export function createFilters({ onChange }) {
  const panel = byId("filters");
  let fields = [];

  byId("clear-filters").addEventListener("click", () => {
    clear();
    panel.querySelector("summary").focus();
  });

  function changed(isTyping) {
    const active = fields.filter((field) => field.value() !== null).length;
    const badge = byId("filter-count");
    badge.hidden = active === 0;
    badge.textContent = `${active} set`;
    onChange(isTyping);
  }

  function show(columns) {
    panel.hidden = columns.length === 0;
    fields = columns.map((column) => ({ column, ...control(column, changed) }));
    byId("filter-fields").replaceChildren(...fields.map((field) => field.element));
  }

  /** The `filters` of a request, or null when none is set. */
  function value() {
    const set = fields
      .map((field) => [field.column.name, field.value()])
      .filter(([, chosen]) => chosen !== null);
    return set.length ? Object.fromEntries(set) : null;
  }

  /** Remember the values of an answer's jobs as suggestions. */
  function learn(jobs) {
    for (const field of fields.filter((each) => each.suggest)) {
      jobs.forEach((job) => field.suggest(job.columns?.[field.column.name]));
    }
  }

  function clear() {
    fields.forEach((field) => field.clear());
    changed(false);
  }

  return { show, value, learn, clear };
}

function control(column, changed) {
  if (column.type === "text") {
    return anyOf(column, changed);
  }
  return column.type === "boolean" ? yesOrNo(column, changed) : range(column, changed);
}

function anyOf({ name }, changed) {
  const id = `filter-${name}`;
  const suggestions = el("datalist", { id: `${id}-seen` });
  const seen = new Set();
  const chips = new Chips({ id, options: suggestions.id, placeholder: "any", onChange: changed });
  return {
    element: el("div", { class: "field" }, el("label", { for: id }, columnLabel(name)), chips.field, suggestions),
    // What is still being typed would match nothing: values must be equal.
    value: () => (chips.values.length ? chips.values : null),
    clear: () => chips.clear(),
    suggest(text) {
      if (typeof text === "string" && text && !seen.has(text) && seen.size < MOST_SUGGESTED) {
        seen.add(text);
        suggestions.append(el("option", { value: text }));
      }
    },
  };
}

function yesOrNo({ name }, changed) {
  const id = `filter-${name}`;
  const select = el(
    "select",
    { id, onchange: () => changed(false) },
    ...["any", "yes", "no"].map((each) => el("option", { value: each }, each)),
  );
  return {
    element: el("div", { class: "field" }, el("label", { for: id }, columnLabel(name)), select),
    value: () => (select.value === "any" ? null : select.value === "yes"),
    clear: () => (select.value = "any"),
  };
}

function range({ name, type }, changed) {
  const input = (which) =>
    el("input", {
      ...INPUTS[type],
      "aria-label": `${columnLabel(name)}, ${which}`,
      oninput: () => changed(true),
    });
  const [from, to] = [input("at least"), input("at most")];
  const read = (each) => (type === "integer" || type === "number" ? Number(each.value) : each.value);
  return {
    element: el(
      "fieldset",
      { class: "range" },
      el("legend", {}, columnLabel(name)),
      from,
      el("span", { "aria-hidden": "true" }, "to"),
      to,
    ),
    value() {
      const bounds = {
        ...(from.value !== "" && { gte: read(from) }),
        ...(to.value !== "" && { lte: read(to) }),
      };
      return Object.keys(bounds).length ? bounds : null;
    },
    clear() {
      from.value = "";
      to.value = "";
    },
  };
}
