"""A client of the job recommendation service. One file, standard library only: copy it.

    client = Client("https://jobs.example.org", api_key="…")
    for job in client.recommend(user_id=42, filters={"remote": True}).jobs:
        print(job.job_id, job.similarity_score)

Connections are kept open and may be used from several threads. When the service is
busy (503) or the key's rate is used up (429), a request waits as long as the service
says, and a little longer by chance; other refusals are raised at once as `ApiError`.
"""

import http.client
import json
import random
import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = [
    "ApiError",
    "Candidate",
    "Client",
    "Column",
    "Job",
    "Pair",
    "Recommendations",
    "ServiceUnreachableError",
    "UserResult",
]

Id = int | str

PASSING = frozenset({429, 502, 503, 504})
BROKEN = (http.client.HTTPException, OSError)


class ApiError(Exception):
    """The service refused: `status` is HTTP's, `detail` its own sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class ServiceUnreachableError(Exception):
    """No answer came, however often it was tried."""


@dataclass(frozen=True)
class Pair:
    """A skill that was asked for, and the job's that is most similar."""

    skill: str
    job_skill: str
    similarity: float


@dataclass(frozen=True)
class _Fit:
    """How well something fits; the reasons only where they were asked for."""

    similarity_score: float | None
    skills: str | None
    match_score: float | None = None
    coverage: float | None = None
    matched: Sequence[Pair] | None = None
    close: Sequence[Pair] | None = None
    missing: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Job(_Fit):
    """A job; `columns` are those that the service offers."""

    job_id: Id
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Candidate(_Fit):
    """A user who fits a job."""

    user_id: Id


@dataclass(frozen=True)
class Recommendations:
    """The best jobs first. `next_cursor` goes on after them; None: that was all."""

    jobs: Sequence[Job]
    total_jobs_analyzed: int
    total_jobs_pending: int
    detail: str | None
    next_cursor: str | None


@dataclass(frozen=True)
class UserResult:
    """One user of a batch: the recommendations, or the sentence why there are none."""

    user_id: Id
    recommendations: Recommendations | None
    error: str | None


@dataclass(frozen=True)
class Column:
    """What `filters` may name; `type` is text, integer, number, boolean, date or
    timestamp.
    """

    name: str
    type: str


class Client:
    """Talks to one service."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 15.0,
        give_up_after_s: float = 60.0,
        backoff_s: float = 0.25,
    ) -> None:
        """`timeout_s` is for one attempt, `give_up_after_s` for all and their waits."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url is an address such as https://jobs.example.org")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["X-API-Key"] = api_key
        self._timeout_s = timeout_s
        self._give_up_after_s = give_up_after_s
        self._backoff_s = backoff_s
        self._idle: deque[http.client.HTTPConnection] = deque()

    def recommend(
        self,
        *,
        user_id: Id | None = None,
        skills: str | None = None,
        top_n: int = 10,
        rank_by: str | None = None,
        explain: bool = False,
        filters: Mapping[str, Any] | None = None,
        exclude_job_ids: Sequence[Id] = (),
        min_score: float | None = None,
        cursor: str | None = None,
    ) -> Recommendations:
        """The jobs that fit a user, or a skills text."""
        body = {
            **({"user_id": user_id} if user_id is not None else {}),
            **({"skills": skills} if skills is not None else {}),
            **_choice(top_n, rank_by, filters, min_score, explain=explain),
            "exclude_job_ids": list(exclude_job_ids),
            "cursor": cursor,
        }
        return _recommendations(self._call("POST", "/api/recommend", body))

    def every_job(self, **question: Any) -> Iterator[Job]:
        """All jobs in their order, page after page; arguments as of `recommend`."""
        while True:
            page = self.recommend(**question)
            yield from page.jobs
            if page.next_cursor is None:
                return
            question["cursor"] = page.next_cursor

    def recommend_batch(
        self,
        user_ids: Sequence[Id],
        *,
        top_n: int = 10,
        rank_by: str | None = None,
        explain: bool = False,
        filters: Mapping[str, Any] | None = None,
        min_score: float | None = None,
    ) -> list[UserResult]:
        """The jobs that fit each of up to 64 users, from one pass over the table."""
        body = {
            "user_ids": list(user_ids),
            **_choice(top_n, rank_by, filters, min_score, explain=explain),
        }
        answer = self._call("POST", "/api/recommend/batch", body)
        return [
            UserResult(one["user_id"], _recommendations(one), None)
            if one["success"]
            else UserResult(one["user_id"], None, one["detail"])
            for one in answer["results"]
        ]

    def similar_jobs(self, job_id: Id, *, top_n: int = 10) -> list[Job]:
        """Jobs like this one."""
        path = f"/api/jobs/{quote(str(job_id), safe='')}/similar?top_n={top_n}"
        return [_job(one) for one in self._call("GET", path)["similar"]]

    def candidates(
        self, job_id: Id, *, top_n: int = 10, rank_by: str = "skills"
    ) -> list[Candidate]:
        """The users who fit a job."""
        body = {"job_id": job_id, "top_n": top_n, "rank_by": rank_by}
        answer = self._call("POST", "/api/candidates", body)
        return [
            Candidate(user_id=one["user_id"], **_fit(one))
            for one in answer["candidates"]
        ]

    def columns(self) -> list[Column]:
        """What each job shows in `columns`, and `filters` may name."""
        answer = self._call("GET", "/api/columns")
        return [Column(one["name"], one["type"]) for one in answer["columns"]]

    def close(self) -> None:
        """Close the connections that are open."""
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The answer's JSON, after as many attempts as it takes."""
        give_up_at = time.monotonic() + self._give_up_after_s
        attempt = 0
        while True:
            refusal: Exception
            try:
                status, retry_after_s, text = self._send(method, path, body)
            except BROKEN as error:
                retry_after_s = 0.0
                refusal = ServiceUnreachableError(f"{type(error).__name__}: {error}")
            else:
                if status == http.HTTPStatus.OK:
                    answer: dict[str, Any] = json.loads(text)
                    return answer
                refusal = ApiError(status, _detail(text))
                if status not in PASSING:
                    raise refusal
            # By chance, so that those who were refused together do not come together.
            wait_s = retry_after_s + self._backoff_s * 2**attempt * random.random()  # noqa: S311
            if time.monotonic() + wait_s > give_up_at:
                raise refusal
            time.sleep(wait_s)
            attempt = min(attempt + 1, 8)

    def _send(self, method: str, path: str, body: object) -> tuple[int, float, bytes]:
        """Status, seconds of Retry-After, and body."""
        data = None if body is None else json.dumps(body).encode()
        while True:
            try:
                connection, is_used = self._idle.pop(), True
            except IndexError:
                connection, is_used = self._connect(), False
            try:
                connection.request(method, self._prefix + path, data, self._headers)
                response = connection.getresponse()
                text = response.read()
            except BROKEN as error:
                connection.close()
                # The service may have closed it while it idled: that is no failure.
                if is_used and not isinstance(error, TimeoutError):
                    continue
                raise
            if response.will_close:
                connection.close()
            else:
                self._idle.append(connection)
            return response.status, _seconds(response.getheader("Retry-After")), text

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(
                self._host, self._port, timeout=self._timeout_s
            )
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout_s, context=self._tls
        )


def _choice(
    top_n: int,
    rank_by: str | None,
    filters: Mapping[str, Any] | None,
    min_score: float | None,
    *,
    explain: bool,
) -> dict[str, Any]:
    return {
        "top_n": top_n,
        "rank_by": rank_by,
        "explain": explain,
        "filters": None if filters is None else dict(filters),
        "min_score": min_score,
    }


def _recommendations(answer: Mapping[str, Any]) -> Recommendations:
    return Recommendations(
        jobs=[_job(one) for one in answer["recommendations"]],
        total_jobs_analyzed=answer["total_jobs_analyzed"],
        total_jobs_pending=answer["total_jobs_pending"],
        detail=answer["detail"],
        next_cursor=answer["next_cursor"],
    )


def _job(one: Mapping[str, Any]) -> Job:
    return Job(job_id=one["job_id"], columns=one.get("columns") or {}, **_fit(one))


def _fit(one: Mapping[str, Any]) -> dict[str, Any]:
    pairs = {
        name: None if one.get(name) is None else [_pair(pair) for pair in one[name]]
        for name in ("matched", "close")
    }
    plain = ("similarity_score", "skills", "match_score", "coverage", "missing")
    return {name: one.get(name) for name in plain} | pairs


def _pair(one: Mapping[str, Any]) -> Pair:
    return Pair(one["skill"], one["job_skill"], one["similarity"])


def _detail(text: bytes) -> str:
    """The service's sentence; a proxy before it may answer with anything."""
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason was given"


def _seconds(header: str | None) -> float:
    """Of Retry-After; a date is left to the backoff."""
    return float(header) if header and header.isdigit() else 0.0
