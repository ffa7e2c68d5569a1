// Calls of the service: JSON or text comes back, or an ApiError that names the failure.

import { askForKey, storedKey } from "./key.js";

// Longer than the service's own deadline: only a network that lost the answer takes it.
const LOST_AFTER_MS = 45_000;
const RETRY_AFTER_S = 5;

const TITLES = {
  401: "A key is needed",
  403: "Not allowed",
  404: "Not found",
  408: "The question did not arrive",
  413: "The question is too long",
  429: "Too many requests",
  502: "Not available just now",
  503: "Not available just now",
  504: "Not available just now",
};
const PASSING = [408, 429, 502, 503, 504];

/**
 * `title` names the failure and `message` explains it. `status` is 0 where the service
 * did not answer; `retryAfterS` is null where trying again makes no sense.
 */
export class ApiError extends Error {
  constructor(title, message, { status = 0, retryAfterS = null, reloads = false } = {}) {
    super(message);
    this.title = title;
    this.status = status;
    this.retryAfterS = retryAfterS;
    this.reloads = reloads; // the page, which helps where somebody must sign in
  }
}

/** Jobs for a question; `took` is the service's own time in milliseconds, or null. */
export async function recommend(body, signal) {
  const response = await call("api/recommend", { body, signal });
  const answer = await json(response);
  return { ...answer, took: totalMs(response.headers.get("Server-Timing")) };
}

export async function similarJobs(jobId, topN, signal) {
  const path = `api/jobs/${encodeURIComponent(jobId)}/similar?top_n=${topN}`;
  return json(await call(path, { signal }));
}

/** What can be filtered by; null where the service does not offer it. */
export async function columns(signal) {
  try {
    return await json(await call("api/columns", { signal }));
  } catch (error) {
    if (error.status === 404) {
      return null;
    }
    throw error;
  }
}

export const ready = async (signal) => json(await call("readyz", { signal }));

export async function metricsText(signal) {
  const response = await call("metrics", { signal });
  const text = await whole(response, () => response.text());
  if (!text.includes("recommender_")) {
    throw foreign(response);
  }
  return text;
}

async function call(path, { body, signal }) {
  const key = storedKey();
  const sentAt = performance.now();
  const response = await send(path, body, key, signal);
  if (response.ok) {
    return response;
  }
  if (response.status === 401 && (await askForKey(key, sentAt))) {
    return call(path, { body, signal });
  }
  throw await refusal(response);
}

async function send(path, body, key, signal) {
  const lost = AbortSignal.timeout(LOST_AFTER_MS);
  const headers = { Accept: "application/json, text/plain" };
  if (key) {
    headers["X-API-Key"] = key;
  }
  if (body) {
    headers["Content-Type"] = "application/json";
  }
  try {
    const response = await fetch(path, {
      method: body ? "POST" : "GET",
      body: body ? JSON.stringify(body) : undefined,
      headers,
      // The service redirects nowhere: that would be a page to sign in.
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, lost]) : lost,
    });
    if (response.type === "opaqueredirect") {
      throw foreign(response);
    }
    return response;
  } catch (error) {
    throw unanswered(error);
  }
}

/** What a request without an answer means. */
function unanswered(error) {
  if (error instanceof ApiError || error.name === "AbortError") {
    return error; // an AbortError is of a request that nobody wants any more
  }
  const retry = { retryAfterS: RETRY_AFTER_S };
  if (error.name === "TimeoutError") {
    return new ApiError("No answer", `The service did not answer within ${LOST_AFTER_MS / 1000} seconds.`, retry);
  }
  if (!navigator.onLine) {
    return new ApiError("No network", "This device is offline.", retry);
  }
  return new ApiError("No connection", "The service cannot be reached: it is down, or something on the way blocks it.", retry);
}

async function refusal(response) {
  const { status } = response;
  let detail = "";
  try {
    detail = (await response.json()).detail;
  } catch {
    // Something between the page and the service has answered.
  }
  const given = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const waits = PASSING.includes(status) ? RETRY_AFTER_S : null;
  return new ApiError(
    TITLES[status] ?? (status < 500 ? "That cannot be answered" : "The service failed"),
    typeof detail === "string" && detail
      ? detail
      : `Something answered with status ${status} and gave no reason.`,
    { status, retryAfterS: Number.isFinite(given) ? Math.max(1, given) : waits },
  );
}

function foreign(response) {
  const what = response.headers.get("Content-Type")?.split(";")[0] ?? "a redirect";
  return new ApiError(
    "Something else answered",
    `Not the service but something on the way to it answered (${what}), perhaps because you must sign in. Reload the page.`,
    { reloads: true },
  );
}

async function json(response) {
  const answer = await whole(response, () => response.json());
  if (answer?.success !== true) {
    throw foreign(response);
  }
  return answer;
}

/** The body, read by `read`. */
async function whole(response, read) {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw foreign(response);
    }
    if (error.name === "AbortError" || error.name === "TimeoutError") {
      throw unanswered(error);
    }
    throw new ApiError("The answer broke off", "The connection ended in the middle of the answer.", {
      retryAfterS: RETRY_AFTER_S,
    });
  }
}

function totalMs(timing) {
  const found = /total;dur=([\d.]+)/.exec(timing ?? "");
  return found ? Number(found[1]) : null;
}
