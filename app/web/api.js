// Calls of the service: JSON or text comes back, or an ApiError with one sentence.

import { askForKey, storedKey } from "./key.js";

// Beyond the service's own deadline: only a network that lost the answer gets here.
const LOST_AFTER_MS = 45_000;

/** `status` is 0 when nothing answered; `retryAfterS` is null when it makes no sense. */
export class ApiError extends Error {
  constructor(message, status, retryAfterS = null) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
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

export const metricsText = async (signal) => (await call("metrics", { signal })).text();

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
  throw await failure(response);
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
    return await fetch(path, {
      method: body ? "POST" : "GET",
      body: body ? JSON.stringify(body) : undefined,
      headers,
      signal: signal ? AbortSignal.any([signal, lost]) : lost,
    });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error; // we did not want it any more
    }
    throw new ApiError("The service cannot be reached.", 0, 5);
  }
}

async function failure(response) {
  let detail = "";
  try {
    detail = (await response.json()).detail;
  } catch {
    // Something between us and the service has answered for it.
  }
  if (typeof detail !== "string" || !detail) {
    detail = `The service answered with status ${response.status}.`;
  }
  const given = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const isPassing = [429, 502, 503, 504].includes(response.status);
  const retryAfterS = Number.isFinite(given) ? Math.max(1, given) : isPassing ? 5 : null;
  return new ApiError(detail, response.status, retryAfterS);
}

async function json(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new ApiError("The answer broke off.", 0, 5);
  }
}

function totalMs(timing) {
  const found = /total;dur=([\d.]+)/.exec(timing ?? "");
  return found ? Number(found[1]) : null;
}
