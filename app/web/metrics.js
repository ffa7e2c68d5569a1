// Parses Prometheus' text format.

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** A map from names to lists of samples `{labels, value}`. */
export function parseMetrics(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = SAMPLE.exec(line);
    if (!found) {
      continue; // a comment or an empty line
    }
    const [, name, labels = "", value] = found;
    const sample = { labels: parseLabels(labels), value: number(value) };
    samples.set(name, [...(samples.get(name) ?? []), sample]);
  }
  return samples;
}

function parseLabels(text) {
  const pairs = [...text.matchAll(LABEL)].map(([, name, value]) => [
    name,
    value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c)),
  ]);
  return Object.fromEntries(pairs);
}

const number = (text) => (text === "+Inf" ? Infinity : Number(text));

const fits = (sample, labels) =>
  Object.entries(labels).every(([name, value]) => sample.labels[name] === value);

/** The sum of the samples with these labels; null if there are none. */
export function value(samples, name, labels = {}) {
  const found = (samples.get(name) ?? []).filter((sample) => fits(sample, labels));
  return found.length ? found.reduce((sum, sample) => sum + sample.value, 0) : null;
}

/** All values of a metric's label, sorted. */
export const labelValues = (samples, name, label) =>
  [...new Set((samples.get(name) ?? []).map((sample) => sample.labels[label]))].sort();

/** `{count, sum, buckets: [{le, count}]}` with cumulative counts. */
export function histogram(samples, name, labels = {}) {
  const buckets = (samples.get(`${name}_bucket`) ?? [])
    .filter((sample) => fits(sample, labels))
    .map((sample) => ({ le: number(sample.labels.le), count: sample.value }))
    .sort((a, b) => a.le - b.le);
  return {
    count: value(samples, `${name}_count`, labels) ?? 0,
    sum: value(samples, `${name}_sum`, labels) ?? 0,
    buckets,
  };
}

/**
 * The quantile, interpolated within its bucket as in Prometheus' `histogram_quantile`:
 * the last finite bound if it lies beyond, null without samples.
 */
export function quantile({ buckets }, share) {
  const total = buckets.at(-1)?.count ?? 0;
  if (!total) {
    return null;
  }
  const rank = share * total;
  let below = { le: 0, count: 0 };
  for (const bucket of buckets) {
    if (bucket.count >= rank && bucket.count > below.count) {
      return bucket.le === Infinity
        ? below.le
        : below.le + ((bucket.le - below.le) * (rank - below.count)) / (bucket.count - below.count);
    }
    below = bucket;
  }
  return below.le;
}
