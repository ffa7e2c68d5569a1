// Keeps the view and the search in the address, for reload, Back and shared links.
// It uses the fragment after "#", which browsers never send to a server.

const VIEWS = ["jobs", "health"];
// Keystrokes closer together than this share one history entry.
const BURST_MS = 3000;

let typedAt = -Infinity;

/** `{view, search}`; the search is null if the address has none. */
export function readAddress() {
  const [, view, query] = /^#?([^?]*)\??(.*)$/s.exec(location.hash);
  return { view: VIEWS.includes(view) ? view : "jobs", search: toSearch(query) };
}

/**
 * The address of a search: `{user}`, `{text}` or `{skills}`, `rank`, and `filters` or null.
 * Equal searches have equal addresses.
 */
export function addressOf(search) {
  if (!search) {
    return "#jobs";
  }
  const fields = new URLSearchParams();
  if (search.user) {
    fields.set("user", search.user);
  }
  if (search.text) {
    fields.set("text", search.text);
  }
  search.skills?.forEach((skill) => fields.append("skill", skill));
  if (search.rank) {
    fields.set("rank", search.rank);
  }
  if (search.filters) {
    fields.set("filters", JSON.stringify(search.filters));
  }
  return `#jobs?${fields}`;
}

/** Set the address to that of a search. `how`: "typing", "choosing" or "replacing". */
export function setAddress(search, how) {
  const address = addressOf(search);
  jobsLink().setAttribute("href", address);
  if (readAddress().view !== "jobs") {
    return; // the link "Find jobs" has it
  }
  const now = performance.now();
  // Replace an empty search between two searches: Back skips it.
  const isSameEntry =
    how === "replacing" || history.state?.isBetween || (how === "typing" && now - typedAt < BURST_MS);
  typedAt = how === "typing" ? now : -Infinity;
  if (address === (location.hash || "#jobs")) {
    return;
  }
  try {
    const state = search ? null : { isBetween: true };
    history[isSameEntry ? "replaceState" : "pushState"](state, "", address);
  } catch {
    // Some browsers limit the changes per ten seconds; the next change sets it again.
  }
}

/** Keep the search in the link "Find jobs", even after a reload of the Health view. */
export function keepJobsLink() {
  const stored = history.state?.jobs;
  if (stored) {
    jobsLink().setAttribute("href", stored);
  } else {
    history.replaceState({ jobs: jobsLink().getAttribute("href") }, "");
  }
}

const jobsLink = () => document.querySelector('nav a[href^="#jobs"]');

function toSearch(query) {
  const fields = new URLSearchParams(query);
  const [user, text, rank] = ["user", "text", "rank"].map((name) => fields.get(name));
  const skills = fields.getAll("skill").filter((skill) => skill.trim());
  if (!user && !text?.trim() && !skills.length) {
    return null;
  }
  const profile = user ? { user } : text?.trim() ? { text } : { skills };
  return { ...profile, rank, filters: toFilters(fields.get("filters")) };
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
