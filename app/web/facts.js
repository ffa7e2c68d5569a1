// A job's name, and its other columns where the service offers some.

import { bdi, el, unseen } from "./dom.js";
import { plainly } from "./format.js";

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
