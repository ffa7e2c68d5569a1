// Keeps the view and the search in the address, for reload, Back and shared links.
// It uses the fragment after "#", which browsers never send to a server.

const VIEWS = ["jobs", "health"];
const ORDER = ["freshness", "max_per", "diversity"];
// Keystrokes closer together than this share one history entry.
const BURST_MS = 3000;

let typedAt = -Infinity;

/** `{view, search}`; the search is null if the address has none. */
export function readAddress() {
  const [, view, query] = /^#?([^?]*)\??(.*)$/s.exec(location.hash);
  return { view: VIEWS.includes(view) ? view : "jobs", search: toSearch(query) };
}

/**
 * The address of a search: `{user}`, `{text}` or `{skills}`, `rank`, and
 * `filters` and `order` or null.
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
  if (search.order) {
    fields.set("order", JSON.stringify(search.order));
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
  return { ...profile, rank, filters: toObject(fields.get("filters")), order: toOrder(fields.get("order")) };
}

/** Only the options of an order: an address must not set others of a request. */
function toOrder(text) {
  const found = Object.entries(toObject(text) ?? {}).filter(([name]) => ORDER.includes(name));
  return found.length ? Object.fromEntries(found) : null;
}

function toObject(text) {
  try {
    const value = JSON.parse(text);
    const isObject = typeof value === "object" && value && !Array.isArray(value);
    return isObject && Object.keys(value).length ? value : null;
  } catch {
    return null;
  }
}
