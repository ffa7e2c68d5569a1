"""TRACING: spans reach an OTLP receiver, and nothing that a user wrote."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import indent

import pytest

from app.api.tracing import REDACTED, SERVICE_NAME
from tests.integration.test_start import WIRED, printed_by
from tests.support.service import running_service
from tests.support.waiting import wait_until

NOWHERE = "postgresql://u@127.0.0.1:1/x"
TEXT = "xyzzy-a-users-text"


@contextmanager
def running_receiver() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP receiver: its address and the bodies that it gets."""
    received: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_spans_name_the_route_and_nothing_of_the_user(tmp_path: Path) -> None:
    with running_receiver() as (address, received):
        with running_service(
            NOWHERE,
            tmp_path / "log",
            TRACING="true",
            OTEL_EXPORTER_OTLP_ENDPOINT=address,
        ) as service:
            service.recommend(skills=TEXT)
            service.recommend(skills=TEXT, unknown=TEXT)
            service.client.post(f"/api/recommend?skills={TEXT}", content=TEXT)
            service.client.get(f"/api/jobs/{TEXT}/similar")
            service.client.get("/nowhere", headers={"X-Text": TEXT})
            service.client.request(TEXT, "/api/recommend")
        # The service has ended, and has exported its last spans before.
        sent = b"".join(received)
    for expected in (SERVICE_NAME, "POST /api/recommend", "/api/jobs/{job_id}/similar"):
        assert expected.encode() in sent
    assert REDACTED.encode() in sent
    assert TEXT.encode() not in sent


def test_an_absent_receiver_neither_stops_the_service_nor_its_end(
    tmp_path: Path,
) -> None:
    with running_service(
        NOWHERE,
        tmp_path / "log",
        TRACING="true",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    ) as service:
        assert service.client.get("/healthz").status_code == 200
        service.process.terminate()
        wait_until(lambda: service.process.poll() is not None, within_s=15)


@pytest.mark.parametrize("loaded", ["opentelemetry.sdk", "google.protobuf"])
def test_without_it_no_sdk_is_loaded(loaded: str) -> None:
    code = WIRED + f"import sys; print({loaded!r} in sys.modules)"
    assert printed_by(code) == "False\n"
    assert printed_by(code, TRACING="true") == "True\n"


def test_without_its_packages_the_start_names_them() -> None:
    code = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        f"try:\n{indent(WIRED, '    ')}\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    assert printed_by(code, TRACING="true") == (
        "TRACING needs the packages of the extra otel: pip install"
        " 'job-recommender[otel]', or in a checkout requirements-otel.txt.\n"
    )
