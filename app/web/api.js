// Requests to the service. They return JSON or text, or throw an ApiError.

import { askForKey, storedKey } from "./key.js";

// Longer than the service's own deadline: only a lost response takes this long.
const TIMEOUT_MS = 45_000;
const RETRY_AFTER_S = 5;

const TITLES = {
  401: "API key required",
  403: "Not allowed",
  404: "Not found",
  408: "The request did not arrive in time",
  413: "The request is too long",
  429: "Too many requests",
  502: "Temporarily unavailable",
  503: "Temporarily unavailable",
  504: "Temporarily unavailable",
};
const TRANSIENT = [408, 429, 502, 503, 504];

/**
 * `title` names the failure and `message` explains it. `status` is 0 without a
 * response. `retryAfterS` is null if a retry is pointless.
 */
export class ApiError extends Error {
  constructor(title, message, { status = 0, retryAfterS = null, reloads = false } = {}) {
    super(message);
    this.title = title;
    this.status = status;
    this.retryAfterS = retryAfterS;
    this.reloads = reloads; // offer to reload the page, for example to sign in
  }
}

/** Recommended jobs; `took` is the service's own time in milliseconds, or null. */
export async function recommend(body, signal) {
  const response = await call("api/recommend", { body, signal });
  const answer = await json(response);
  return { ...answer, took: totalMs(response.headers.get("Server-Timing")) };
}

export async function similarJobs(jobId, topN, signal) {
  const path = `api/jobs/${encodeURIComponent(jobId)}/similar?top_n=${topN}`;
  return json(await call(path, { signal }));
}

/** Store events of users, or take them back. Throws the first error among them. */
export async function giveFeedback(events) {
  const { results } = await json(await call("api/feedback/batch", { body: { events } }));
  const refused = results.find((result) => !result.success);
  if (refused) {
    throw new ApiError("Not stored", refused.detail, { status: 404 });
  }
}

/** The events of a user, newest first. */
export async function feedbackOf(user) {
  const answer = await json(await call(`api/users/${encodeURIComponent(user)}/feedback`, {}));
  return answer.feedback;
}

/** What users did with the jobs that they were shown; null if the service cannot tell. */
export async function feedbackReport(signal) {
  try {
    return await json(await call("api/feedback/report", { signal }));
  } catch (error) {
    if (error instanceof ApiError) {
      return null; // the other figures stand without it
    }
    throw error;
  }
}

/** The filterable columns; null if the service has no such route. */
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
    throw unexpected(response);
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
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
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
      // The service never redirects: a redirect leads to a proxy's sign-in page.
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    if (response.type === "opaqueredirect") {
      throw unexpected(response);
    }
    return response;
  } catch (error) {
    throw unanswered(error);
  }
}

/** The error of a request without a response. */
function unanswered(error) {
  if (error instanceof ApiError || error.name === "AbortError") {
    return error; // AbortError: the page cancelled the request
  }
  const retry = { retryAfterS: RETRY_AFTER_S };
  if (error.name === "TimeoutError") {
    return new ApiError("No response", `The service did not respond within ${TIMEOUT_MS / 1000} seconds.`, retry);
  }
  if (!navigator.onLine) {
    return new ApiError("No network", "This device is offline.", retry);
  }
  return new ApiError("No connection", "The service cannot be reached: it is down, or the network blocks it.", retry);
}

async function refusal(response) {
  const { status } = response;
  let detail = "";
  try {
    detail = (await response.json()).detail;
  } catch {
    // The response came from a proxy, not from the service.
  }
  const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const fallback = TRANSIENT.includes(status) ? RETRY_AFTER_S : null;
  return new ApiError(
    TITLES[status] ?? (status < 500 ? "The request was refused" : "The service failed"),
    typeof detail === "string" && detail
      ? detail
      : `The response has status ${status} and no explanation.`,
    { status, retryAfterS: Number.isFinite(retryAfter) ? Math.max(1, retryAfter) : fallback },
  );
}

function unexpected(response) {
  const kind = response.headers.get("Content-Type")?.split(";")[0] ?? "a redirect";
  return new ApiError(
    "Unexpected response",
    `The response (${kind}) did not come from the service but from a proxy before it. You may have to sign in: reload the page.`,
    { reloads: true },
  );
}

async function json(response) {
  const answer = await whole(response, () => response.json());
  if (answer?.success !== true) {
    throw unexpected(response);
  }
  return answer;
}

/** The whole body, read with `read`. */
async function whole(response, read) {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw unexpected(response);
    }
    if (error.name === "AbortError" || error.name === "TimeoutError") {
      throw unanswered(error);
    }
    throw new ApiError("The response is incomplete", "The connection closed before the end of the response.", {
      retryAfterS: RETRY_AFTER_S,
    });
  }
}

function totalMs(timing) {
  const found = /total;dur=([\d.]+)/.exec(timing ?? "");
  return found ? Number(found[1]) : null;
}
