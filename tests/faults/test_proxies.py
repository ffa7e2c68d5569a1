"""Behind proxies: HEAD, slashes, forwarded addresses, callers."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.api.middleware.api_keys import ApiKeys
from app.api.middleware.auth import AuthMiddleware
from app.batching.caller import CALLER
from app.commands.migrate import migrate
from tests.support.postgres import Server, fresh_database, run
from tests.support.raw import exchange
from tests.support.rows import add_job, add_user
from tests.support.service import Service, running_service

FORWARDED = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Host": "jobs.example",
    "Host": "jobs.example",
}


@pytest.fixture(scope="module")
def service(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with fresh_database(postgres) as url:
        add_job(url, 1, "cooking")
        add_job(url, 2, "baking")
        add_user(url, 1, "cooking")
        log_file = tmp_path_factory.mktemp("proxies") / "log"
        with running_service(url, log_file) as running:
            yield running


GETS = (
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/api/columns",
    "/api/jobs/1/similar",
    "/nowhere",
    "/api/recommend",
)


@pytest.mark.parametrize("path", GETS)
def test_f114_head_is_answered_as_get_without_a_body(
    service: Service, path: str
) -> None:
    got, headed = service.client.get(path), service.client.head(path)
    assert headed.status_code == got.status_code
    assert headed.content == b""
    for name in ("content-type", "allow", "etag"):
        assert headed.headers.get(name) == got.headers.get(name)
    if path != "/metrics":  # which tells of the time
        assert headed.headers["content-length"] == got.headers["content-length"]


def test_f114_no_byte_follows_the_head(service: Service) -> None:
    asked = b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange(service.port, asked).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", [*GETS[1:], "/static/x/app.js"])
@pytest.mark.parametrize("headers", [{}, FORWARDED], ids=["direct", "behind TLS"])
def test_f115_a_trailing_slash_is_no_redirect(
    service: Service, path: str, headers: dict[str, str]
) -> None:
    with_slash = service.client.get(path + "/", headers=headers)
    assert "location" not in with_slash.headers
    plain = service.client.get(path, headers=headers)
    assert with_slash.status_code == plain.status_code


def test_f115_a_post_with_a_trailing_slash_is_answered(service: Service) -> None:
    body = {"user_id": 1}
    asked = [
        service.client.post(f"/api/recommend{slash}", json=body, headers=FORWARDED)
        for slash in ("", "/")
    ]
    assert [a.status_code for a in asked] == [200, 200]
    assert asked[0].json() == asked[1].json()


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [("127.0.0.1", "203.0.113.7"), ("198.51.100.1", "127.0.0.1"), ("*", "203.0.113.7")],
)
def test_f115_only_a_trusted_proxy_names_the_client(
    tmp_path: Path, trusted: str, expected: str
) -> None:
    """A log line of uvicorn shows the client's address."""
    with running_service(
        "postgresql://u@127.0.0.1:1/x",
        tmp_path / "log",
        FORWARDED_ALLOW_IPS=trusted,
        command=("-c", ECHO),
    ) as service:
        found = service.client.get("/healthz", headers=FORWARDED)
        assert found.headers["X-Client"] == expected


# The service with a header that shows the client's address.
ECHO = """
import sys
from app.api.middleware import access_log
original = access_log.AccessLogMiddleware.__call__
async def telling(self, scope, receive, send):
    async def send_client(message):
        if message["type"] == "http.response.start":
            message["headers"].append((b"x-client", scope["client"][0].encode()))
        await send(message)
    await original(self, scope, receive, send_client if "client" in scope else send)
access_log.AccessLogMiddleware.__call__ = telling
from app.__main__ import main
sys.exit(main())
"""


def test_f124_without_keys_each_connection_is_a_caller() -> None:
    seen: list[object] = []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        seen.append(CALLER.get().identity)

    async def ask(client: tuple[str, int]) -> None:
        scope = {"type": "http", "path": "/api/recommend", "client": client}
        await AuthMiddleware(app, keys=ApiKeys([]), buckets=None)(scope, None, None)  # type: ignore[arg-type]  # never used

    async def story() -> None:
        for client in (("10.0.0.1", 1), ("10.0.0.1", 2), ("203.0.113.7", 0)):
            await asyncio.create_task(ask(client))

    asyncio.run(story())
    assert seen == [("10.0.0.1", 1), ("10.0.0.1", 2), ("203.0.113.7", 0)]


def test_f113_an_id_that_an_answer_holds_is_accepted_everywhere(
    postgres: Server, tmp_path: Path
) -> None:
    ids = ["a/b", "a b", "a\nb", "100%", "?#", "ü/similar", "x" * 1000, "..", "a/", "é"]
    with fresh_database(postgres) as url:
        for table, id_column in (("skill_job1", "job_id"), ("users", "user_id")):
            run(url, f"ALTER TABLE {table} ALTER {id_column} DROP IDENTITY IF EXISTS")
            run(url, f"ALTER TABLE {table} ALTER {id_column} TYPE text")
        list(migrate(url))
        for number, id_ in enumerate(ids):
            add_job(url, id_, f"cooking {number}")
            add_user(url, id_, "cooking")
        with running_service(url, tmp_path / "log") as service:
            held = service.recommend(user_id=ids[0], top_n=50).json()["recommendations"]
            assert {job["job_id"] for job in held} == set(ids)
            for id_ in ids:
                assert service.recommend(user_id=id_).status_code == 200
                left = service.recommend(user_id=id_, exclude_job_ids=[id_], top_n=50)
                assert len(left.json()["recommendations"]) == len(ids) - 1
                path = f"/api/jobs/{quoted(id_)}/similar"
                assert httpx.get(
                    f"http://127.0.0.1:{service.port}{path}", timeout=30
                ).json()["success"], id_
                found = service.client.post("/api/candidates", json={"job_id": id_})
                assert found.status_code == 200
            batch = service.client.post("/api/recommend/batch", json={"user_ids": ids})
            assert all(each["success"] for each in batch.json()["results"])


def quoted(id_: str) -> str:
    """Every byte as an escape: clients would resolve `..` otherwise."""
    return "".join(f"%{byte:02X}" for byte in id_.encode())
