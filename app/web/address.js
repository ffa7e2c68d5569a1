// The address of the page: the view and the question, so that reload, Back and a shared
// link keep both. Behind the "#", which is never sent to a server.

const VIEWS = ["jobs", "health"];
// Keystrokes closer together than this change one entry of the history.
const BURST_MS = 3000;

let typedAt = -Infinity;

/** `{view, question}`; the question is null when the address has none. */
export function readAddress() {
  const [, view, query] = /^#?([^?]*)\??(.*)$/s.exec(location.hash);
  return { view: VIEWS.includes(view) ? view : "jobs", question: toQuestion(query) };
}

/**
 * The address of a question: `{user}` or `{skills}`, `rank`, and `filters` or null.
 * Equal questions have equal addresses.
 */
export function addressOf(question) {
  if (!question) {
    return "#jobs";
  }
  const fields = new URLSearchParams();
  if (question.user) {
    fields.set("user", question.user);
  }
  question.skills?.forEach((skill) => fields.append("skill", skill));
  if (question.rank) {
    fields.set("rank", question.rank);
  }
  if (question.filters) {
    fields.set("filters", JSON.stringify(question.filters));
  }
  return `#jobs?${fields}`;
}

/** Let the address be that of a question. `how`: "typing", "choosing" or "replacing". */
export function keepAddress(question, how) {
  const address = addressOf(question);
  jobsLink().setAttribute("href", address);
  if (readAddress().view !== "jobs") {
    return; // "Find jobs" leads back to it
  }
  const now = performance.now();
  // An entry without a question, between two questions, is nothing to go back to.
  const isSameEntry =
    how === "replacing" || history.state?.isBetween || (how === "typing" && now - typedAt < BURST_MS);
  typedAt = how === "typing" ? now : -Infinity;
  if (address === (location.hash || "#jobs")) {
    return;
  }
  try {
    const state = question ? null : { isBetween: true };
    history[isSameEntry ? "replaceState" : "pushState"](state, "", address);
  } catch {
    // Some browsers allow only so many changes in ten seconds; the next one tells all.
  }
}

/** Let "Find jobs" lead back to the question, also after a reload of the other view. */
export function keepWayBack() {
  const kept = history.state?.jobs;
  if (kept) {
    jobsLink().setAttribute("href", kept);
  } else {
    history.replaceState({ jobs: jobsLink().getAttribute("href") }, "");
  }
}

const jobsLink = () => document.querySelector('nav a[href^="#jobs"]');

function toQuestion(query) {
  const fields = new URLSearchParams(query);
  const [user, rank] = [fields.get("user"), fields.get("rank")];
  const skills = fields.getAll("skill").filter((skill) => skill.trim());
  if (!user && !skills.length) {
    return null;
  }
  return { ...(user ? { user } : { skills }), rank, filters: toFilters(fields.get("filters")) };
}

function toFilters(text) {
  try {
    const filters = JSON.parse(text);
    const isObject = typeof filters === "object" && filters && !Array.isArray(filters);
    return isObject && Object.keys(filters).length ? filters : null;
  } catch {
    return null;
  }
}
