// A job's title and its other columns.

import { bdi, el, unseen } from "./dom.js";
import { plainly } from "./format.js";

const TITLES = ["title", "job_title", "position", "name"];

/** "posted_at" as "Posted at". */
export function columnLabel(name) {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The title in the job's columns, or else its id. */
export function jobTitle(job) {
  const name = titleColumn(job);
  return name ? job.columns[name] : `Job ${job.job_id}`;
}

/** A line with the other columns, and the id if the job has a title. */
export function facts(job, columns) {
  const titled = titleColumn(job);
  const shown = columns
    .filter(({ name }) => name !== titled && ![null, undefined, ""].includes(job.columns?.[name]))
    .map(({ name, type }) => fact(name, type, job.columns[name]));
  if (titled) {
    shown.push(el("span", {}, "Job ", bdi(job.job_id)));
  }
  return shown.length ? el("p", { class: "facts" }, ...shown) : null;
}

const titleColumn = (job) =>
  TITLES.find((name) => typeof job.columns?.[name] === "string" && job.columns[name]);

function fact(name, type, value) {
  const label = `${columnLabel(name)}: `;
  return el("span", {}, type === "text" ? unseen(label) : label, bdi(plainly(type, value)));
}
