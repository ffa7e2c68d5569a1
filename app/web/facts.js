// What a job is called, and its other columns where the service gives some.

import { count, el, unseen } from "./dom.js";

const TITLES = ["title", "job_title", "position", "name"];

/** "posted_at" as "Posted at". */
export function columnLabel(name) {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A title among the job's columns, else its id. */
export function jobTitle(job) {
  const name = titleColumn(job);
  return name ? job.columns[name] : `Job ${job.job_id}`;
}

/** A line of the other columns, and the id where a title took its place. */
export function facts(job, columns) {
  const titled = titleColumn(job);
  const shown = columns
    .filter(({ name }) => name !== titled && ![null, undefined, ""].includes(job.columns?.[name]))
    .map(({ name, type }) => fact(name, type, job.columns[name]));
  if (titled) {
    shown.push(el("span", {}, `Job ${job.job_id}`));
  }
  return shown.length ? el("p", { class: "facts" }, ...shown) : null;
}

const titleColumn = (job) =>
  TITLES.find((name) => typeof job.columns?.[name] === "string" && job.columns[name]);

function fact(name, type, value) {
  if (type === "text") {
    return el("span", {}, unseen(`${columnLabel(name)}: `), String(value));
  }
  return el("span", {}, `${columnLabel(name)}: `, plainly(type, value));
}

function plainly(type, value) {
  if (type === "boolean") {
    return value ? "yes" : "no";
  }
  return typeof value === "number" ? count(value) : String(value).replace("T", " ");
}
