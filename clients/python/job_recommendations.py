"""Client of the job recommendation service. One file, standard library only: copy it.

    client = Client("https://jobs.example.org", api_key="…")
    for job in client.recommend(user_id=42, filters={"remote": True}).jobs:
        print(job.job_id, job.similarity_score)

A client is thread-safe and keeps its connections open; a forked process and a pickled
copy open their own. If the service is busy (503) or the key's rate limit is reached
(429), a request waits for the Retry-After of the response plus a random backoff. Any
other error is raised at once. An integer id of 2**53 or more arrives as a string.
"""

import http.client
import io
import json
import os
import random
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NotRequired, TypedDict, TypeVar, Unpack
from urllib.parse import quote, urlsplit

Id = int | str
Request = tuple[str, str, bytes | None, Mapping[str, str]]
T = TypeVar("T")
Response = tuple[http.client.HTTPResponse, bytes]

OK, BAD_REQUEST, NOT_FOUND = 200, 400, 404
TRANSIENT = frozenset({429, 502, 503, 504})
BROKEN = (http.client.HTTPException, OSError)


class ServiceError(Exception):
    """Base class of the client's errors."""


class ApiError(ServiceError):
    """An error response: `status` of HTTP, `detail` of the service."""

    def __init__(self, status: int, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(status, detail, retry_after_s)
        self.status, self.detail, self.retry_after_s = status, detail, retry_after_s

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}"


class ServiceUnreachableError(ServiceError):
    """No response arrived in time."""


class UnexpectedAnswerError(ServiceError):
    """A response that is not the service's, for example a proxy's sign-in page."""


@dataclass(frozen=True)
class Pair:
    """A requested skill and the most similar skill of the job."""

    skill: str
    job_skill: str
    similarity: float


@dataclass(frozen=True)
class _Fit:
    """Scores and, if requested, the explanation."""

    similarity_score: float | None
    skills: str | None
    match_score: float | None = None
    coverage: float | None = None
    matched: Sequence[Pair] | None = None
    close: Sequence[Pair] | None = None
    missing: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Job(_Fit):
    """A job; `columns` are those that the service offers. `relevance`: strong, possible
    or weak; `repeats`: jobs that list almost the same skills; `because`: the saved job
    that raised the score; `factor`: what freshness and boost multiplied the score by.
    """

    job_id: Id
    columns: Mapping[str, Any] = field(default_factory=dict)
    relevance: str | None = None
    repeats: Sequence[Id] = ()
    because: Id | None = None
    factor: float | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate(_Fit):
    """A user who fits a job."""

    user_id: Id


@dataclass(frozen=True)
class Recommendations:
    """The best jobs, best first. `next_cursor`: the next page; None on the last one."""

    jobs: Sequence[Job]
    total_jobs_analyzed: int
    total_jobs_pending: int
    detail: str | None
    next_cursor: str | None


@dataclass(frozen=True)
class UserResult:
    """One user of a batch: the recommendations or an error message."""

    user_id: Id
    recommendations: Recommendations | None
    error: str | None


@dataclass(frozen=True)
class Column:
    """A filterable column; `type` is for example integer or date."""

    name: str
    type: str


@dataclass(frozen=True)
class Event:
    """What a user did with a job; `at` is a time in ISO 8601."""

    job_id: Id
    event: str
    at: str


class Feedback(TypedDict):
    """An event to store, or to take back."""

    user_id: Id
    job_id: Id
    event: Literal["applied", "saved", "dismissed", "opened"]
    undo: NotRequired[bool]


class Options(TypedDict, total=False):
    """The number of jobs, their ranking and filters."""

    top_n: int
    rank_by: str | None
    explain: bool
    distinct: bool | None
    filters: Mapping[str, Any] | None
    min_score: float | None
    freshness: Mapping[str, Any] | None
    boost: str | None
    expires: str | None
    max_per: Mapping[str, int] | None
    diversity: float | None


class Client:
    """A client of one service."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 15.0,
        give_up_after_s: float = 60.0,
        backoff_s: float = 0.25,
    ) -> None:
        """`timeout_s` limits one attempt, `give_up_after_s` all attempts and waits.

        Resolving the host name has the resolver's own limit.
        """
        parts = urlsplit(base_url)
        others = parts.username or parts.query or parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname or others:
            raise ValueError(
                "base_url must be a URL such as https://jobs.example.org, without user,"
                " query and fragment"
            )
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("api_key may contain only printable ASCII characters")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._address = parts.hostname, parts.port or (443 if self._tls else 80)
        self._prefix = quote(parts.path.rstrip("/"), safe="/%")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["X-API-Key"] = api_key
        self._timeout_s, self._give_up_after_s = timeout_s, give_up_after_s
        self._backoff_s = backoff_s
        self._idle: deque[socket.socket] = deque()
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_idle": deque(), "_tls": self._tls is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _process=os.getpid())
        self._tls = ssl.create_default_context() if state["_tls"] else None

    def recommend(
        self,
        *,
        user_id: Id | None = None,
        skills: str | None = None,
        exclude_job_ids: Sequence[Id] = (),
        cursor: str | None = None,
        **options: Unpack[Options],
    ) -> Recommendations:
        """The jobs that fit a user or a skills text."""
        body = {"user_id": user_id, "skills": skills, "cursor": cursor, **options}
        body["exclude_job_ids"] = list(exclude_job_ids)
        answer = self._call("/api/recommend", "recommendations", body)
        return _recommendations(answer)

    def every_job(self, **arguments: Any) -> Iterator[Job]:
        """All jobs in order, fetched page by page; arguments as in `recommend`."""
        while True:
            page = self.recommend(**arguments)
            yield from page.jobs
            if page.next_cursor is None:
                return
            arguments["cursor"] = page.next_cursor

    def recommend_batch(
        self, user_ids: Sequence[Id], **options: Unpack[Options]
    ) -> list[UserResult]:
        """The jobs that fit each of up to 64 users, from one scan of the table."""
        body = {"user_ids": list(user_ids), **options}
        answer = self._call("/api/recommend/batch", "results", body)
        # With the caller's own ids: the response may have them as strings.
        return [
            UserResult(user_id, _recommendations(one), None)
            if one["success"]
            else UserResult(user_id, None, one["detail"])
            for user_id, one in zip(user_ids, answer["results"], strict=True)
        ]

    def similar_jobs(self, job_id: Id, *, top_n: int = 10) -> list[Job]:
        """The jobs most similar to a job."""
        path = f"/api/jobs/{_quoted(job_id)}/similar?top_n={top_n}"
        return self._list(Job, "similar", path)

    def candidates(
        self, job_id: Id, *, top_n: int = 10, rank_by: str = "skills"
    ) -> list[Candidate]:
        """The users who fit a job."""
        body = {"job_id": job_id, "top_n": top_n, "rank_by": rank_by}
        return self._list(Candidate, "candidates", "/api/candidates", body)

    def columns(self) -> list[Column]:
        """The columns that jobs show and `filters` accepts."""
        return self._list(Column, "columns", "/api/columns")

    def give_feedback(self, **event: Unpack[Feedback]) -> None:
        """Store what a user did with a job, or take it back (`undo=True`)."""
        self._call("/api/feedback", "success", event)

    def give_feedback_batch(self, events: Sequence[Feedback]) -> list[str | None]:
        """Store up to 500 events together. Returns each one's error message or None."""
        body = {"events": list(events)}
        answer = self._call("/api/feedback/batch", "results", body)
        return [one.get("detail") for one in answer["results"]]

    def list_feedback(self, user_id: Id) -> list[Event]:
        """The events of a user, newest first."""
        return self._list(Event, "feedback", f"/api/users/{_quoted(user_id)}/feedback")

    def close(self) -> None:
        """Close the open connections."""
        with suppress(IndexError):  # another thread may take the last one
            while True:
                self._idle.pop().close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _list(
        self, kind: type[T], gives: str, path: str, body: Mapping[str, Any] = {}
    ) -> list[T]:
        return [_made(kind, one) for one in self._call(path, gives, body)[gives]]

    def _call(
        self, path: str, gives: str, body: Mapping[str, Any] = {}
    ) -> dict[str, Any]:
        """Send a request with retries. Returns JSON that has the field `gives`."""
        give_up_at = time.monotonic() + self._give_up_after_s
        set_ = {name: each for name, each in body.items() if each is not None}
        data = json.dumps(set_, default=str).encode() if body else None
        method = "POST" if body else "GET"
        request = method, self._prefix + path, data, self._headers
        attempt, refusal = 0, ServiceError()
        while True:
            until = min(give_up_at, time.monotonic() + self._timeout_s)
            wait_s = self._backoff_s * 2 ** min(attempt, 8) * random.random()  # noqa: S311
            try:
                return _parsed(*self._send(request, until), gives)
            except ApiError as error:
                refusal = error
                if error.status not in TRANSIENT:
                    raise
                # Random, so that requests refused together do not return together.
                wait_s += error.retry_after_s
            except BROKEN as error:
                refusal = ServiceUnreachableError(f"{type(error).__name__}: {error}")
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise refusal from error
            if time.monotonic() + wait_s >= give_up_at:
                raise refusal
            time.sleep(wait_s)
            attempt += 1

    def _send(self, request: Request, until: float) -> Response:
        """The response to one attempt. Raises one of BROKEN."""
        is_sent = is_kept = False
        connected = self._take_idle() or self._connect(until)
        connection = http.client.HTTPConnection(*self._address)
        connection.default_port = 443 if self._tls else 80
        connection.sock = _Timed(connected, until)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                # The service may refuse early; its response has the reason.
                connection.request(*request)
                is_sent = True
            response = connection.getresponse()
            text = response.read()
            # After an interim response (103) the final one is still to come.
            is_kept = is_sent and not response.will_close and response.status >= OK
            return response, text
        finally:
            if is_kept:
                self._idle.append(connected)
            else:
                connected.close()

    def _take_idle(self) -> socket.socket | None:
        """An idle connection without unread bytes that the service has not closed."""
        if self._process != os.getpid():
            self.close()  # after a fork the connections belong to the parent
            self._process = os.getpid()
        with suppress(IndexError):
            while True:
                connected = self._idle.pop()
                try:
                    connected.settimeout(0)
                    connected.recv(1)
                except (BlockingIOError, ssl.SSLWantReadError):
                    return connected
                except OSError:
                    pass
                connected.close()
        return None

    def _connect(self, until: float) -> socket.socket:
        found = socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM)
        # The limit of each of the host's addresses, and of the handshake.
        timeout_s = _left_s(until) / (len(found) + 1)
        connected = socket.create_connection(self._address, timeout_s)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return connected
        return self._tls.wrap_socket(connected, server_hostname=self._address[0])


class _Timed(io.RawIOBase):
    """A socket for `http.client` whose reads and writes have the deadline `until`."""

    def __init__(self, connected: socket.socket, until: float) -> None:
        self._socket, self._until = connected, until

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(_left_s(self._until))
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(_left_s(self._until))
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Do nothing: the client closes the socket itself or keeps it."""


def _quoted(id_: Id) -> str:
    return quote(str(id_), safe="")


def _left_s(until: float) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s


def _parsed(
    response: http.client.HTTPResponse, text: bytes, gives: str
) -> dict[str, Any]:
    """The JSON of a response.

    Raises ApiError for an error, and UnexpectedAnswerError if it is not the service's:
    a proxy may send anything.
    """
    answer: Any = None
    with suppress(ValueError, RecursionError):
        answer = json.loads(text)
    fields = answer if isinstance(answer, dict) else {}
    status, detail = response.status, fields.get("detail")
    if status == OK and fields.get("success") is True and gives in fields:
        return fields
    if status >= BAD_REQUEST and (detail or status != NOT_FOUND):
        after = response.getheader("Retry-After", "")  # dates are ignored
        retry_after_s = float(after) if after.isdecimal() else 0.0
        raise ApiError(status, str(detail or "no explanation"), retry_after_s)
    what = response.getheader("Location") or response.getheader("Content-Type")
    raise UnexpectedAnswerError(
        f"the response {status} ({what}) is not the service's; check base_url"
    )


def _recommendations(answer: Mapping[str, Any]) -> Recommendations:
    jobs = [_made(Job, one) for one in answer["recommendations"]]
    return _made(Recommendations, {**answer, "jobs": jobs})


def _made(kind: type[T], one: Mapping[str, Any]) -> T:
    """Build from JSON, without the fields that only a newer service has."""
    pairs = {
        name: [_made(Pair, pair) for pair in one[name]]
        for name in ("matched", "close")
        if one.get(name) is not None
    }
    names = {each.name for each in fields(kind)} & one.keys()  # type: ignore[arg-type]
    return kind(**{name: one[name] for name in names} | pairs)
