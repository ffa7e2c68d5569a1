// Freshness and variety: what orders the jobs beside the search.

import { byId, el } from "./dom.js";
import { columnLabel } from "./facts.js";

const DATES = ["date", "timestamp"];
const HALF_LIFE_DAYS = 30;
const PER = 2;
const DIVERSITIES = [
  ["", "default"],
  ["0", "none"],
  ["0.3", "some"],
  ["0.6", "much"],
];

/** The options. What the service's columns do not allow stays hidden. */
export function createOrder({ onChange }) {
  const panel = byId("order");
  const days = number("order-days", HALF_LIFE_DAYS, { min: 0.1, max: 36500, step: "any" });
  const per = number("order-most", PER, { min: 1, max: 1000, step: 1 });
  const newer = choice("order-newer", []);
  const column = choice("order-column", []);
  const diversity = choice("order-diversity", DIVERSITIES);
  const fields = {
    newer: field("Newer jobs first, by", newer),
    days: field("Days until a score halves", days),
    column: field("Few jobs with the same", column),
    most: field("How many of them", per),
    diversity: field("Different jobs", diversity),
  };
  // Options of the address that these controls cannot show: they are sent unchanged.
  let others = {};
  let isShown = false; // not before the columns are known

  byId("order-fields").append(...Object.values(fields));
  byId("clear-order").addEventListener("click", () => {
    set(null);
    onChange(false);
    panel.querySelector("summary").focus();
  });

  function choice(id, options) {
    const changed = () => {
      showState();
      onChange(false);
    };
    return el("select", { id, onchange: changed }, ...options.map(option));
  }

  function number(id, value, limits) {
    const changed = () => onChange(true);
    return el("input", { id, type: "number", required: true, value, ...limits, oninput: changed });
  }

  function showState() {
    const active = Object.keys(value() ?? {}).length;
    const badge = byId("order-count");
    badge.hidden = active === 0;
    badge.textContent = `${active} set`;
    panel.hidden = !isShown && active === 0;
    fields.newer.hidden = newer.options.length < 2;
    fields.column.hidden = column.options.length < 2;
    fields.days.hidden = !newer.value;
    fields.most.hidden = !column.value;
  }

  /** Offer these columns. */
  function show(columns) {
    const chosen = value();
    const dates = columns.filter(({ type }) => DATES.includes(type));
    newer.replaceChildren(...named(dates));
    column.replaceChildren(...named(columns.filter(({ type }) => type === "text")));
    isShown = true;
    set(chosen);
  }

  /** The options of a request; null if none is set. */
  function value() {
    const set = { ...others };
    if (newer.value) {
      set.freshness = { column: newer.value, half_life_days: amount(days, HALF_LIFE_DAYS) };
    }
    if (column.value) {
      set.max_per = { [column.value]: amount(per, PER) };
    }
    if (diversity.value) {
      set.diversity = Number(diversity.value);
    }
    return Object.keys(set).length ? set : null;
  }

  /** Set the controls to these options; null clears them. */
  function set(options) {
    const { freshness, max_per: limits, diversity: share, ...rest } = options ?? {};
    others = rest;
    const [[name, most] = ["", PER], ...more] = Object.entries(limits ?? {});
    if (!choose(newer, freshness?.column ?? "")) {
      others.freshness = freshness;
    }
    if (more.length || !choose(column, name)) {
      choose(column, "");
      others.max_per = limits;
    }
    if (!choose(diversity, share === undefined ? "" : String(share))) {
      others.diversity = share;
    }
    days.value = freshness?.half_life_days ?? HALF_LIFE_DAYS;
    per.value = most;
    showState();
  }

  return { show, value, set };
}

const option = ([value, text]) => el("option", { value }, text);

const named = (columns) => [["", "default"], ...columns.map(({ name }) => [name, columnLabel(name)])].map(option);

const field = (label, input) =>
  el("div", { class: "field" }, el("label", { for: input.id }, label), input);

/** Select the option; false, and the first one, if there is none of this value. */
function choose(select, value) {
  const exists = [...select.options].some((each) => each.value === value);
  select.value = exists ? value : "";
  return exists || value === "";
}

/** The number, or the default while it is none that the service takes. */
const amount = (input, fallback) => (input.checkValidity() ? input.valueAsNumber : fallback);
