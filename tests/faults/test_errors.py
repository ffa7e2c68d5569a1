"""All errors have the same headers, CORS, JSON and metrics."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.raw import exchange, post
from tests.support.service import Service, running_service

NOWHERE = "postgresql://u@127.0.0.1:1/x"
KEY = "the-key-of-these-errors"
ORIGIN = "https://board.example"
HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "access-control-allow-origin": ORIGIN,
    "content-type": "application/problem+json",
}
KEYED = (f"X-API-Key: {KEY}", f"Origin: {ORIGIN}")
FROM = f"Origin: {ORIGIN}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("errors") / "log"
    settings = {
        "API_KEYS": KEY,
        "CORS_ORIGINS": ORIGIN,
        "REQUEST_TIMEOUT_S": "1",
        "RATE_LIMIT_PER_MINUTE": "100000",
    }
    with running_service(NOWHERE, log_file, **settings) as running:
        yield running


def get(path: str, *extra: str, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *extra]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


ASK = "/api/recommend"
SIMILAR = "/api/jobs/1/similar"
ERRORS = [
    pytest.param(post(b"{}", FROM), 401, ASK, id="no key"),
    pytest.param(
        get(SIMILAR, FROM), 401, "/api/jobs/{job_id}/similar", id="no key, GET"
    ),
    pytest.param(post(b"", *KEYED).replace(b"h: 0", b"h: 99999"), 413, ASK, id="large"),
    pytest.param(post(b"{}", *KEYED)[:-1], 408, ASK, id="never arrives"),
    pytest.param(post(b"{}", *KEYED), 422, ASK, id="not valid"),
    pytest.param(post(b'{"a": "\xff"}', *KEYED), 400, ASK, id="no parser reads it"),
    pytest.param(get(ASK, *KEYED), 405, ASK, id="wrong method"),
    pytest.param(get("/nowhere", *KEYED), 404, "other", id="no route"),
    pytest.param(post(b'{"user_id": 1}', *KEYED), 503, ASK, id="no database"),
    pytest.param(get("/readyz", *KEYED), 503, "/readyz", id="not ready"),
    pytest.param(
        f"GET / HTTP/1.1\r\n{FROM}\r\nX-A: b\r\nno header\r\n\r\n".encode(),
        400,
        "other",
        id="head",
    ),
    pytest.param(
        get("/", *KEYED, "X-A: " + "a" * 300_000), 400, "other", id="a long head"
    ),
]


def parsed(answer: bytes) -> tuple[int, httpx.Headers, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    pairs = [(n.lower(), v) for n, v in (line.split(": ", 1) for line in lines)]
    return int(status.split()[1]), httpx.Headers(pairs), body.decode()


def count(service: Service, route: str, status: int) -> float:
    text = service.client.get("/metrics", headers={"X-API-Key": KEY}).text
    name = re.escape(f'recommender_requests_total{{route="{route}",status="{status}"}}')
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize(("sent", "expected", "route"), ERRORS)
def test_f128_an_error_has_the_headers_and_counts_under_its_route(
    service: Service, sent: bytes, expected: int, route: str
) -> None:
    before = count(service, route, expected)
    status, headers, body = parsed(exchange(service.port, sent))
    assert status == expected
    assert HEADERS.items() <= dict(headers).items()
    fields = json.loads(body)
    assert list(fields) == ["success", "detail", "status", "title", "type"]
    assert (fields["success"], fields["status"]) == (False, expected)
    assert re.fullmatch(r".+\.", fields["detail"])
    assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])
    assert count(service, route, expected) == before + 1


def test_f128_a_crash_has_them_too(tmp_path: Path) -> None:
    """A deleted file of the page causes an unexpected error."""
    with running_service(
        NOWHERE, tmp_path / "log", CORS_ORIGINS=ORIGIN, command=("-c", BROKEN)
    ) as service:
        status, headers, _ = parsed(exchange(service.port, get("/", FROM)))
        assert status == 500
        # The page's address has another Content-Security-Policy.
        found = {n: v for n, v in headers.items() if n != "content-security-policy"}
        assert HEADERS.items() - found.items() == {
            ("content-security-policy", HEADERS["content-security-policy"])
        }
        assert service.log.count("unexpected error") == 1
        assert 'route="/",status="500"' in service.client.get("/metrics").text


# A service with a copy of the page's folder; its index is deleted after the start.
BROKEN = """
import pathlib, shutil, sys, tempfile
from app.api import static_files
copy = pathlib.Path(tempfile.mkdtemp()) / "web"
shutil.copytree(static_files.WEB_FOLDER, copy)
static_files.build_page.__defaults__ = (copy,)
from app.__main__ import main
original = static_files.folder_version
def version(folder):
    found = original(folder)
    (folder / static_files.INDEX_PAGE).unlink()
    return found
static_files.folder_version = version
sys.exit(main())
"""


def test_f117_every_error_status_stands_in_the_document(
    service: Service, tmp_path: Path
) -> None:
    with running_service(NOWHERE, tmp_path / "log") as opened:
        documents = [
            service.client.get("/openapi.json").json(),
            opened.client.get("/openapi.json").json(),
        ]
    for document in documents:
        paths = document["paths"]
        assert len(paths) >= 8
        for path, operations in paths.items():
            for operation in operations.values():
                expected = {"400", "408", "413", "500", "503"}
                if path != "/healthz":
                    expected |= {"401", "429"}
                assert expected <= operation["responses"].keys(), path
        for path in (ASK, "/api/recommend/batch", "/api/candidates"):
            answers = paths[path]["post"]["responses"]
            assert {"422"} <= answers.keys()
            schemas = {
                str(answers[status]["content"]["application/problem+json"]["schema"])
                for status in answers.keys() - {"200"}
            }
            assert schemas == {"{'$ref': '#/components/schemas/ErrorResponse'}"}
