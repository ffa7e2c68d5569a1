// Filters: a control for each filterable column, depending on its type.

import { byId, el } from "./dom.js";
import { Chips } from "./chips.js";
import { columnLabel } from "./facts.js";

// Suggestions are values from previous results.
const MAX_SUGGESTED = 100;

const INPUTS = {
  integer: { type: "number", step: "1" },
  number: { type: "number", step: "any" },
  date: { type: "date" },
  timestamp: { type: "datetime-local", step: "1" },
};

/** The filters. They stay hidden until `show(columns)`, and without any columns. */
export function createFilters({ onChange }) {
  const panel = byId("filters");
  let fields = [];
  // Filters in the address without a control: the columns are not loaded yet, or do not
  // exist. They are sent unchanged; the service reports what is wrong.
  let others = {};

  byId("clear-filters").addEventListener("click", () => {
    clear();
    panel.querySelector("summary").focus();
  });

  function changed(isTyping) {
    showCount();
    onChange(isTyping);
  }

  function showCount() {
    const active = Object.keys(value() ?? {}).length;
    const badge = byId("filter-count");
    badge.hidden = active === 0;
    badge.textContent = `${active} set`;
    panel.hidden = fields.length === 0 && active === 0;
  }

  function show(columns) {
    const chosen = value();
    fields = columns.map((column) => ({ column, ...control(column, changed) }));
    byId("filter-fields").replaceChildren(...fields.map((field) => field.element));
    set(chosen);
  }

  /** The `filters` of a request; null if none is set. */
  function value() {
    const set = fields
      .map((field) => [field.column.name, field.value()])
      .filter(([, chosen]) => chosen !== null);
    const all = { ...others, ...Object.fromEntries(set) };
    return Object.keys(all).length ? all : null;
  }

  /** Set the controls to these filters; null clears them. */
  function set(filters) {
    others = { ...filters };
    for (const field of fields) {
      const { name } = field.column;
      field.clear();
      if (name in others && field.set(others[name])) {
        delete others[name];
      }
    }
    showCount();
  }

  /** Add the values of these jobs to the suggestions. */
  function learn(jobs) {
    for (const field of fields.filter((each) => each.suggest)) {
      jobs.forEach((job) => field.suggest(job.columns?.[field.column.name]));
    }
  }

  function clear() {
    set(null);
    onChange(false);
  }

  return { show, value, set, learn, clear };
}

// A control has `value()`, null if empty; `clear()`; and `set(value)`, which returns
// false if it cannot show the value.
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
    // Chips only: values must match exactly, so unfinished text would match nothing.
    value: () => (chips.values.length ? chips.values : null),
    clear: () => chips.set([]),
    set(value) {
      const texts = [value].flat();
      const fits = texts.every((text) => typeof text === "string" && text);
      if (fits) {
        chips.set(texts);
      }
      return fits;
    },
    suggest(text) {
      if (typeof text === "string" && text && !seen.has(text) && seen.size < MAX_SUGGESTED) {
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
    set(value) {
      select.value = value === true ? "yes" : value === false ? "no" : "any";
      return typeof value === "boolean";
    },
  };
}

function range({ name, type }, changed) {
  const isNumeric = type === "integer" || type === "number";
  const input = (which) =>
    el("input", {
      ...INPUTS[type],
      "aria-label": `${columnLabel(name)}, ${which}`,
      oninput: () => changed(true),
    });
  const [from, to] = [input("at least"), input("at most")];
  const bounds = { gte: from, lte: to };
  const read = ({ value }) => {
    const isExact = isNumeric && (!/^-?\d+$/.test(value) || Number.isSafeInteger(Number(value)));
    return isExact ? Number(value) : value; // long integers are sent as text
  };
  return {
    element: el(
      "fieldset",
      { class: "range" },
      el("legend", {}, columnLabel(name), type === "timestamp" && " (UTC)"),
      from,
      el("span", { "aria-hidden": "true" }, "to"),
      to,
    ),
    value() {
      const set = Object.entries(bounds).filter(([, each]) => each.value !== "");
      return set.length ? Object.fromEntries(set.map(([bound, each]) => [bound, read(each)])) : null;
    },
    clear() {
      from.value = "";
      to.value = "";
    },
    set(value) {
      const fits =
        typeof value === "object" && value && Object.keys(value).every((bound) => bound in bounds);
      for (const [bound, each] of Object.entries(fits ? value : {})) {
        bounds[bound].value = String(each);
      }
      // The browser clears an input whose value does not have its type.
      return fits && Object.keys(value).every((bound) => bounds[bound].value !== "");
    },
  };
}
