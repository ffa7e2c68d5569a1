/** Against the running service of BASE_URL, and a server that refuses in each way. */

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { ApiError, Client, UnexpectedAnswerError, UnreachableError } from "../src/index.js";

const BASE_URL = process.env["BASE_URL"]!;
const LARGE = 9007199254740993n; // 2^53 + 1, which no number can hold
const client = new Client(BASE_URL);

test("a user is answered, and an id beyond 2^53 arrives intact", async () => {
  const { recommendations } = await client.recommend({ user_id: LARGE, top_n: 3 });
  assert.equal(recommendations.length, 3);
  assert.equal(recommendations[0]!.job_id, LARGE.toString());
  const similar = await client.similarJobs(recommendations[0]!.job_id, 2);
  assert.equal(similar.similar.length, 2);
});

test("a number beyond 2^53 is refused before it is sent", async () => {
  await assert.rejects(client.recommend({ user_id: Number(LARGE) }), RangeError);
  await assert.rejects(client.similarJobs(2 ** 53), RangeError);
});

test("pages follow one another without a gap", async () => {
  const ids = new Set<number | string>();
  for await (const job of client.everyJob({ skills: "python", top_n: 7 })) ids.add(job.job_id);
  assert.equal(ids.size, 21);
});

test("explanations, filters, batches, candidates and columns are typed", async () => {
  const explained = await client.recommend({
    skills: "python",
    rank_by: "hybrid",
    filters: { title: ["Developer"] },
  });
  const job = explained.recommendations[0]!;
  assert.equal(job.columns?.["title"], "Developer");
  assert.equal(typeof job.match_score, "number");
  const [known, unknown] = await client.recommendBatch([LARGE, 404], { top_n: 1 });
  assert.equal(known!.user_id, LARGE.toString());
  assert.ok(known!.success && known!.recommendations.length === 1);
  assert.ok(!unknown!.success && unknown!.status === 404);
  const { candidates } = await client.candidates(LARGE);
  assert.equal(candidates[0]!.user_id, LARGE.toString());
  assert.deepEqual(await client.columns(), [{ name: "title", type: "text" }]);
});

test("feedback is stored, read and taken back", async () => {
  const asked = { user_id: LARGE, top_n: 1 };
  const [job] = (await client.recommend(asked)).recommendations;
  const dismissed = { user_id: LARGE, job_id: job!.job_id, event: "dismissed" } as const;
  await client.giveFeedback(dismissed);
  const [other] = (await client.recommend(asked)).recommendations;
  assert.notEqual(other!.job_id, job!.job_id);
  const [unknown, saved] = await client.giveFeedbackBatch([
    { user_id: 404, job_id: 1, event: "saved" },
    { user_id: LARGE, job_id: other!.job_id, event: "saved" },
  ]);
  assert.ok(!unknown!.success && unknown!.status === 404);
  assert.deepEqual(saved, { success: true });
  const events = await client.listFeedback(LARGE);
  assert.deepEqual(events.map(({ job_id, event }) => [job_id, event]), [
    [other!.job_id, "saved"],
    [job!.job_id, "dismissed"],
  ]);
  assert.ok(!Number.isNaN(Date.parse(events[0]!.at)));
  await client.giveFeedback({ ...dismissed, undo: true });
  assert.deepEqual((await client.recommend(asked)).recommendations[0]!.job_id, job!.job_id);
});

test("an error has its status and its sentence", async () => {
  await assert.rejects(client.recommend({ user_id: 404 }), (error: ApiError) => {
    assert.deepEqual([error.status, error.detail], [404, "No user has this user_id."]);
    return true;
  });
});

const servers: Server[] = [];
after(() => servers.forEach((server) => server.close()));

/** A server that gives these answers one after another; the last one for ever. */
async function answering(
  ...answers: [status: number, body: string, headers?: Record<string, string>][]
): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const server = createServer((_, response) => {
    const [status, body, headers] = answers[Math.min(asked++, answers.length - 1)]!;
    response.writeHead(status, headers).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked: () => asked };
}

const BUSY = '{"success": false, "detail": "The queue is full."}';
const COLUMNS = '{"success": true, "columns": []}';

test("a busy service is asked again after Retry-After", async () => {
  const busy = await answering([503, BUSY, { "Retry-After": "1" }], [429, BUSY], [200, COLUMNS]);
  const begun = performance.now();
  assert.deepEqual(await new Client(busy.url, { backoffMs: 1 }).columns(), []);
  assert.equal(busy.asked(), 3);
  assert.ok(performance.now() - begun >= 999);
});

test("a wait beyond the limit of time is not begun", async () => {
  const busy = await answering([503, BUSY, { "Retry-After": "30" }]);
  await assert.rejects(
    new Client(busy.url, { giveUpAfterMs: 5000 }).columns(),
    (error: ApiError) => error.status === 503 && error.retryAfterMs === 30_000,
  );
  assert.equal(busy.asked(), 1);
});

test("a Retry-After is seconds or a date, and nothing else makes a wait", async () => {
  const soon = new Date(Date.now() + 30_000).toUTCString();
  const past = new Date(Date.now() - 30_000).toUTCString();
  for (const [after, least, most] of [
    ["30", 30_000, 30_000],
    [" 7", 7000, 7000],
    ["9".repeat(400), Infinity, Infinity],
    [soon, 20_000, 30_000],
    [past, 0, 0],
    ["-5", 0, 0],
    ["soon", 0, 0],
    ["", 0, 0],
  ] as const) {
    const busy = await answering([503, BUSY, { "Retry-After": after }]);
    await assert.rejects(
      new Client(busy.url, { giveUpAfterMs: 10_000, backoffMs: 1e12 }).columns(),
      (error: ApiError) => least <= error.retryAfterMs && error.retryAfterMs <= most,
      after,
    );
  }
});

test("a redirection is not followed, and the key stays with the service", async () => {
  for (const status of [301, 302, 307, 308]) {
    const other = await answering([200, COLUMNS]);
    const moved = await answering([status, "", { Location: `${other.url}/api/columns` }]);
    const client = new Client(moved.url, { apiKey: "a key" });
    await assert.rejects(client.columns(), UnexpectedAnswerError);
    assert.equal(other.asked(), 0);
  }
});

test("an address that no request can have is refused at once", () => {
  for (const address of [
    "",
    "localhost:8000",
    "/api",
    "ftp://jobs.example.org",
    "https://",
    "https://me:secret@jobs.example.org",
    "https://jobs.example.org/?key=1",
    "https://jobs.example.org/#top",
  ]) {
    assert.throws(() => new Client(address), TypeError, address);
  }
});

test("a path, slashes and limits of any length of time are fine", async () => {
  const there = await answering([200, COLUMNS]);
  for (const limits of [
    { timeoutMs: 2500.5 },
    { giveUpAfterMs: 2500.5 },
    { timeoutMs: Infinity, giveUpAfterMs: Infinity },
    { timeoutMs: 2 ** 40 },
  ]) {
    assert.deepEqual(await new Client(`${there.url}/a/b//`, limits).columns(), []);
  }
});

test("an invalid request is not repeated", async () => {
  const invalid = await answering([422, '{"success": false, "detail": "No."}']);
  await assert.rejects(new Client(invalid.url).columns(), ApiError);
  assert.equal(invalid.asked(), 1);
});

test("a page of another server is not taken for an answer", async () => {
  const pages: [number, string][] = [
    [200, "<html>Sign in</html>"],
    [404, "<html>"],
    [200, ""],
    [200, "null"],
    [200, '"success"'],
    [204, ""],
  ];
  for (const answer of pages) {
    const other = await answering(answer);
    await assert.rejects(new Client(other.url).columns(), UnexpectedAnswerError);
  }
});

test("a server that is not there is named", async () => {
  await assert.rejects(
    new Client("http://127.0.0.1:1", { giveUpAfterMs: 50, backoffMs: 1 }).columns(),
    (error: UnreachableError) =>
      error.message === "http://127.0.0.1:1 did not answer" && error.cause !== undefined,
  );
});
