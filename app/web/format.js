// Formats numbers. Rounding never turns "nearly all" into "all".

const NUMBER = new Intl.NumberFormat("en-GB");
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** 12345 as 12,345. */
export const count = (value) => NUMBER.format(value);

/** "1 job", "2 jobs". */
export const plural = (value, one, many = `${one}s`) =>
  `${count(value)} ${value === 1 ? one : many}`;

/** 0.5 as "50 %". Only 0 is "0 %" and only 1 is "100 %". */
export function percent(share) {
  if (share > 0 && share < 0.01) {
    return "<1 %";
  }
  return share > 0.99 && share < 1 ? ">99 %" : `${Math.round(share * 100)} %`;
}

/** A similarity with two decimals. Only 1 is "1.00". */
export function score(value) {
  const size = Math.abs(value) < 1 ? Math.min(0.99, Math.abs(value)) : Math.abs(value);
  return (value < 0 && size >= 0.005 ? "-" : "") + size.toFixed(2);
}

export function bytes(value) {
  if (value === null) {
    return "–";
  }
  const unit = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(value || 1) / 3)));
  return `${unit ? (value / 1000 ** unit).toFixed(1) : value} ${UNITS[unit]}`;
}

export function milliseconds(seconds) {
  if (seconds === null) {
    return "–";
  }
  const ms = seconds * 1000;
  if (ms > 0 && ms < 0.05) {
    return "<0.1 ms";
  }
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${seconds.toFixed(1)} s`;
}

/** A column's value as in the table: 2026, 0.00042, yes. */
export function plainly(type, value) {
  if (type === "boolean") {
    return value ? "yes" : "no";
  }
  return type === "timestamp" ? moment(value) : String(value);
}

/** "2026-01-31T12:00:00+02:00" as "2026-01-31 12:00:00 +02:00". */
function moment(value) {
  const parts = /^(\d{4,}-\d\d-\d\d)T([\d:.]+)(?:(Z|[+-]00:00)|([+-][\d:]+))?(.*)$/.exec(value);
  if (!parts) {
    return value; // for example "infinity"
  }
  const [, date, time, utc, offset, rest] = parts;
  return `${date} ${time}${utc ? " UTC" : offset ? ` ${offset}` : ""}${rest}`;
}
