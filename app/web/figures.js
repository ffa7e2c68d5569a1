// The metrics cards: memory, latency and batches.

import { el, svg } from "./dom.js";
import { bytes, count, milliseconds } from "./format.js";
import { histogram, labelValues, quantile, value } from "./metrics.js";

const REMEMBERED = 120;
const CHART = { width: 300, height: 56 };
const SHOWN_ROUTE = /^\/api\//;

export function card(id, title, kind, ...content) {
  return el(
    "section",
    { class: `card ${kind}`, "aria-labelledby": id },
    el("h2", { id }, title),
    ...content,
  );
}

/** A list of names and values; `set(name, text)` sets a value. */
export function terms(names) {
  const figures = new Map(names.map((name) => [name, el("dd", {}, "–")]));
  const element = el(
    "dl",
    { class: "terms" },
    ...names.map((name) => el("div", {}, el("dt", {}, name), figures.get(name))),
  );
  return { element, set: (name, text) => (figures.get(name).textContent = text) };
}

export function createMemory() {
  const big = el("p", { class: "big" });
  const line = svg("polyline", { class: "line", "vector-effect": "non-scaling-stroke" });
  const area = svg("polygon", { class: "area" });
  const chart = svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${CHART.width} ${CHART.height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    area,
    line,
  );
  const rest = terms(["Resident, with file pages", "Model in memory", "Up for"]);
  const history = [];
  return {
    element: card(
      "memory-title",
      "Memory",
      "",
      big,
      el("p", { class: "hint" }, "not reclaimable; does not grow with the table"),
      chart,
      rest.element,
    ),
    show(samples) {
      const anonymous = value(samples, "recommender_process_anonymous_bytes");
      history.push(anonymous ?? 0);
      history.splice(0, history.length - REMEMBERED);
      big.textContent = bytes(anonymous);
      const shown = points(history);
      line.setAttribute("points", shown);
      area.setAttribute("points", `0,${CHART.height} ${shown} ${CHART.width},${CHART.height}`);
      rest.set("Resident, with file pages", bytes(value(samples, "process_resident_memory_bytes")));
      rest.set("Model in memory", value(samples, "recommender_model_loaded") ? "yes" : "loads at the first request");
      rest.set("Up for", age(value(samples, "process_start_time_seconds")));
    },
  };
}

/** The points of the chart. It starts at zero so that small changes look small. */
function points(history) {
  const most = Math.max(...history, 1) * 1.25;
  const step = CHART.width / Math.max(1, history.length - 1);
  const shown = history.length === 1 ? [history[0], history[0]] : history;
  const width = history.length === 1 ? CHART.width : step;
  return shown
    .map((each, n) => `${(n * width).toFixed(1)},${(CHART.height * (1 - each / most)).toFixed(1)}`)
    .join(" ");
}

function age(startedAt) {
  if (startedAt === null) {
    return "–";
  }
  const minutes = Math.max(0, Math.floor((Date.now() / 1000 - startedAt) / 60));
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) {
    return `${Math.floor(hours / 24)} days`;
  }
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

export function createLatency() {
  const rows = el("tbody");
  const none = el("p", { class: "hint" }, "No requests yet.");
  const head = ["Route", "Requests", "Median", "95 %", "99 %", "Errors 5xx"];
  const table = el(
    "div",
    { class: "table", role: "region", "aria-label": "Times by route", tabindex: 0 },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...head.map((each) => el("th", { scope: "col" }, each)))),
      rows,
    ),
  );
  return {
    element: card("latency-title", "Latency", "wide", el("p", { class: "hint" }, "Response times since the start"), table, none),
    show(samples) {
      const routes = labelValues(samples, "recommender_request_seconds_count", "route").filter(
        (route) => SHOWN_ROUTE.test(route),
      );
      rows.replaceChildren(...routes.map((route) => latencyRow(samples, route)));
      table.hidden = routes.length === 0;
      none.hidden = routes.length > 0;
    },
  };
}

function latencyRow(samples, route) {
  const times = histogram(samples, "recommender_request_seconds", { route });
  const failed = (samples.get("recommender_requests_total") ?? [])
    .filter(({ labels }) => labels.route === route && labels.status.startsWith("5"))
    .reduce((sum, sample) => sum + sample.value, 0);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, route),
    el("td", {}, count(times.count)),
    ...[0.5, 0.95, 0.99].map((share) => el("td", {}, milliseconds(quantile(times, share)))),
    el("td", { class: failed ? "bad" : "" }, count(failed)),
  );
}

export function createBatches() {
  const names = ["Queries per batch", "Encoding, median", "Scanning, median", "Rows read", "Data read", "Queue", "Connections in use"];
  const rest = terms(names);
  const big = el("p", { class: "big" });
  return {
    element: card("batches-title", "Batches", "", big, el("p", { class: "hint" }, "concurrent queries share a batch"), rest.element),
    show(samples) {
      const size = histogram(samples, "recommender_batch_size");
      const median = (name) => milliseconds(quantile(histogram(samples, name), 0.5));
      const whole = (name) => {
        const found = value(samples, name);
        return found === null ? "–" : count(found);
      };
      big.textContent = count(size.count);
      rest.set("Queries per batch", size.count ? (size.sum / size.count).toFixed(1) : "–");
      rest.set("Encoding, median", median("recommender_encode_seconds"));
      rest.set("Scanning, median", median("recommender_scan_seconds"));
      rest.set("Rows read", whole("recommender_rows_scanned_total"));
      rest.set("Data read", bytes(value(samples, "recommender_bytes_scanned_total")));
      rest.set("Queue", whole("recommender_queue_depth"));
      rest.set("Connections in use", `${whole("recommender_pool_in_use")} of ${whole("recommender_pool_size")}`);
    },
  };
}
