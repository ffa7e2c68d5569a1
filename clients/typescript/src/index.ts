/**
 * Client of the job recommendation service, for Node 20 and for browsers.
 *
 *     const client = new Client("https://jobs.example.org", { apiKey: "…" });
 *     const { recommendations } = await client.recommend({ user_id: 42n });
 *
 * If the service is busy (503) or the key's rate limit is reached (429), a request waits
 * for the Retry-After of the response plus a random backoff. An id of 2^53 or more arrives
 * as a string, and is sent as a bigint or a string: a number would have been rounded.
 */

import type { components } from "./schema.js";

type Schemas = components["schemas"];

/** An id of the database. Use a bigint or a string from 2^53 on. */
export type Id = number | string | bigint;

export type FilterValue = string | number | boolean | null;
export type Bounds = Partial<Record<"gt" | "gte" | "lt" | "lte", string | number>>;
export type Filters = Record<string, FilterValue | FilterValue[] | Bounds>;

type WithIds<T, Names extends keyof T> = Omit<T, Names | "filters"> & {
  filters?: Filters | null;
};

/** A user's id or a skills text, and which jobs to return. */
export type RecommendRequest = WithIds<
  Schemas["RecommendRequest"],
  "user_id" | "exclude_job_ids"
> & { user_id?: Id; exclude_job_ids?: Id[] };

export type BatchOptions = WithIds<Schemas["BatchRequest"], "user_ids">;
export type CandidatesOptions = Omit<Schemas["CandidatesRequest"], "job_id">;
export type Job = Schemas["Recommended"];
export type Candidate = Schemas["Candidate"];
export type Recommendations = Schemas["RecommendResponse"];
export type Similar = Schemas["SimilarResponse"];
export type Candidates = Schemas["CandidatesResponse"];
export type UserResult = { user_id: number | string } & (
  | (Recommendations & { success: true })
  | Schemas["ErrorResponse"]
);
export type Column = { name: string; type: string };

/** What a user did with a job; `undo` takes it back. */
export type Feedback = Omit<Schemas["FeedbackRequest"], "user_id" | "job_id" | "undo"> & {
  user_id: Id;
  job_id: Id;
  undo?: boolean;
};
export type FeedbackResult = { success: true } | Schemas["ErrorResponse"];
export type FeedbackEvent = { job_id: number | string; event: Feedback["event"]; at: string };

export interface ClientOptions {
  apiKey?: string;
  /** The time limit of one attempt, 15 s by default. */
  timeoutMs?: number;
  /** The time limit of all attempts and waits, 60 s by default. */
  giveUpAfterMs?: number;
  /** The first random wait is up to this long, each later one up to twice as long. */
  backoffMs?: number;
  fetch?: typeof fetch;
}

/** An error response of the service: its HTTP status and its sentence. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly status: number,
    readonly detail: string,
    readonly retryAfterMs = 0,
  ) {
    super(`${status}: ${detail}`);
  }
}

/** No response arrived in time; `cause` has the reason. */
export class UnreachableError extends Error {
  override name = "UnreachableError";
}

/** A response that is not the service's, for example a proxy's sign-in page. */
export class UnexpectedAnswerError extends Error {
  override name = "UnexpectedAnswerError";
}

const TRANSIENT = new Set([429, 502, 503, 504]);
// A timer of more milliseconds ends at once.
const LONGEST_MS = 2 ** 31 - 1;

/** A client of one service. */
export class Client {
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;
  readonly #giveUpAfterMs: number;
  readonly #backoffMs: number;
  readonly #fetch: typeof fetch;

  /** `baseUrl`: of the service, or in a browser also a path of the page's own server. */
  constructor(baseUrl: string, options: ClientOptions = {}) {
    this.#base = checkedAddress(baseUrl);
    this.#headers = options.apiKey ? { "X-API-Key": options.apiKey } : {};
    this.#timeoutMs = options.timeoutMs ?? 15_000;
    this.#giveUpAfterMs = options.giveUpAfterMs ?? 60_000;
    this.#backoffMs = options.backoffMs ?? 250;
    // Called as a method of another object, the browser's own would throw.
    this.#fetch = options.fetch ?? ((...args) => fetch(...args));
  }

  /** The jobs that fit a user or a skills text, best first. */
  async recommend(request: RecommendRequest): Promise<Recommendations> {
    return this.#post("/api/recommend", request);
  }

  /** All jobs in order, fetched page by page. */
  async *everyJob(request: RecommendRequest): AsyncGenerator<Job> {
    let cursor = request.cursor ?? null;
    do {
      const page = await this.recommend(cursor ? { ...request, cursor } : request);
      yield* page.recommendations;
      cursor = page.next_cursor ?? null;
    } while (cursor !== null);
  }

  /** The jobs that fit each of up to 64 users, from one scan of the table. */
  async recommendBatch(userIds: Id[], options: BatchOptions = {}): Promise<UserResult[]> {
    const body = { ...options, user_ids: userIds };
    const answer = await this.#post<{ results: UserResult[] }>("/api/recommend/batch", body);
    return answer.results;
  }

  /** The jobs most similar to a job. */
  async similarJobs(jobId: Id, topN = 10): Promise<Similar> {
    checkId(jobId);
    const path = `/api/jobs/${encodeURIComponent(String(jobId))}/similar?top_n=${topN}`;
    return this.#call(path, { method: "GET" });
  }

  /** The users who fit a job. */
  async candidates(jobId: Id, options: CandidatesOptions = {}): Promise<Candidates> {
    return this.#post("/api/candidates", { ...options, job_id: jobId });
  }

  /** The columns that jobs show and `filters` accepts. */
  async columns(): Promise<Column[]> {
    return (await this.#call<{ columns: Column[] }>("/api/columns", { method: "GET" })).columns;
  }

  /** Store what a user did with a job, or take it back. */
  async giveFeedback(event: Feedback): Promise<void> {
    await this.#post("/api/feedback", event);
  }

  /** Store up to 500 events together; an event may have an error of its own. */
  async giveFeedbackBatch(events: Feedback[]): Promise<FeedbackResult[]> {
    const answer = await this.#post<{ results: FeedbackResult[] }>("/api/feedback/batch", { events });
    return answer.results;
  }

  /** The events of a user, newest first. */
  async listFeedback(userId: Id): Promise<FeedbackEvent[]> {
    checkId(userId);
    const path = `/api/users/${encodeURIComponent(String(userId))}/feedback`;
    return (await this.#call<{ feedback: FeedbackEvent[] }>(path, { method: "GET" })).feedback;
  }

  #post<T>(path: string, body: object): Promise<T> {
    return this.#call(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body, encoded),
    });
  }

  /** Send a request until it succeeds, fails for good, or the time is over. */
  async #call<T>(path: string, init: RequestInit): Promise<T> {
    const giveUpAt = performance.now() + this.#giveUpAfterMs;
    for (let attempt = 0; ; attempt++) {
      let waitMs = this.#backoffMs * 2 ** Math.min(attempt, 8) * Math.random();
      let failure: Error;
      try {
        return await this.#attempt<T>(path, init, giveUpAt - performance.now());
      } catch (error) {
        failure = error as Error;
        if (error instanceof ApiError && TRANSIENT.has(error.status)) {
          waitMs += error.retryAfterMs;
        } else if (!(error instanceof UnreachableError)) {
          throw error;
        }
      }
      if (performance.now() + waitMs >= giveUpAt) throw failure;
      await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, LONGEST_MS)));
    }
  }

  async #attempt<T>(path: string, init: RequestInit, leftMs: number): Promise<T> {
    let response: Response;
    let text: string;
    const limitMs = Math.ceil(Math.min(this.#timeoutMs, leftMs, LONGEST_MS));
    try {
      response = await this.#fetch(this.#base + path, {
        ...init,
        headers: { ...this.#headers, ...(init.headers as Record<string, string>) },
        // Elsewhere a POST would arrive as a GET, and with the key.
        redirect: "manual",
        signal: AbortSignal.timeout(Math.max(1, limitMs)),
      });
      text = await response.text();
    } catch (cause) {
      throw new UnreachableError(`${this.#base} did not answer`, { cause });
    }
    return parsed<T>(response, text);
  }
}

function parsed<T>(response: Response, text: string): T {
  const answer = json(text);
  if (response.ok && answer?.success === true) return answer as T;
  if (response.status >= 400 && (answer?.detail || response.status !== 404)) {
    const detail = typeof answer?.detail === "string" ? answer.detail : "no explanation";
    throw new ApiError(response.status, detail, waitOf(response.headers.get("Retry-After")));
  }
  throw new UnexpectedAnswerError(
    `the response ${response.status} of ${response.url} is not the service's; check the base URL`,
  );
}

/** The milliseconds of a Retry-After: seconds, or a date; 0 for anything else. */
function waitOf(header: string | null): number {
  const value = header ?? "";
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return ms > 0 ? ms : 0;
}

function checkedAddress(baseUrl: string): string {
  let url: URL | undefined;
  try {
    url = new URL(baseUrl, typeof location === "undefined" ? undefined : location.href);
  } catch {
    // Not a URL: as one of another scheme.
  }
  if (!url || !/^https?:$/.test(url.protocol) || url.username || /[?#]/.test(baseUrl)) {
    throw new TypeError(
      "baseUrl must be a URL such as https://jobs.example.org, without user, query and fragment",
    );
  }
  return baseUrl.replace(/\/+$/, "");
}

function json(text: string): { success?: unknown; detail?: unknown } | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** For JSON.stringify: a bigint is sent as a string, a rounded number is refused. */
function encoded(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") checkId(value);
  return value;
}

function checkId(value: unknown): void {
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new RangeError(`${value} is beyond 2^53 and was rounded: use a bigint or a string`);
  }
}
