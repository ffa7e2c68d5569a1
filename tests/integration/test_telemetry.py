"""The metrics of a real service, and the dashboard."""

import json
import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.bulk import fill_jobs
from tests.support.metrics import metric
from tests.support.postgres import Server, fresh_database, run
from tests.support.service import ROOT, Service, running_service

JOBS = 300
DASHBOARD = ROOT / "deploy" / "grafana.json"
METRIC = re.compile(r"\b(?:recommender|process)_[a-z_]+")


@pytest.fixture(scope="module")
def url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres) as url:
        fill_jobs(url, JOBS)
        run(url, "INSERT INTO skill_job1 (job_id, skills) VALUES (1000, 'pending')")
        yield url


@pytest.fixture(scope="module")
def measured(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("measured") / "log"
    with running_service(url, log_file) as service:
        yield service


def test_a_batch_is_measured_with_its_size_rows_and_bytes(measured: Service) -> None:
    assert metric(measured, "recommender_model_loaded") == 0
    for _ in range(3):
        assert measured.recommend(skills="python").status_code == 200
    assert measured.recommend(user_id=5).status_code == 404
    assert metric(measured, "recommender_rows_scanned_total") == 3 * JOBS
    # 1,536 of the embedding, 24 around it, and the frame of the COPY.
    assert metric(measured, "recommender_bytes_scanned_total") == pytest.approx(
        3 * JOBS * 1560, rel=0.01
    )
    assert metric(measured, "recommender_batch_size_sum") == 4
    assert metric(measured, "recommender_model_loaded") == 1
    for name in ("encode_seconds", "scan_seconds"):
        assert metric(measured, f"recommender_{name}_sum") > 0


def test_batches_by_skills_and_for_similar_jobs_are_measured(
    measured: Service,
) -> None:
    def figures() -> tuple[float, float]:
        names = ("batch_size_count", "rows_scanned_total")
        passes, rows = (metric(measured, f"recommender_{name}") for name in names)
        return passes, rows

    assert measured.recommend(skills="python", rank_by="skills").status_code == 200
    passes, rows = figures()
    assert measured.client.get("/api/jobs/5/similar").status_code == 200
    assert figures() == (passes + 1, rows + JOBS)
    assert measured.recommend(skills="python", rank_by="skills").status_code == 200
    assert figures()[0] == passes + 2
    # The reasons for a few jobs are looked up, not scanned for.
    assert measured.recommend(skills="python", explain=True).status_code == 200
    assert figures() == (passes + 3, rows + 2 * JOBS)


def test_requests_are_counted_by_route_and_status(measured: Service) -> None:
    def count(route: str, status: str) -> float:
        return metric(
            measured, "recommender_requests_total", route=route, status=status
        )

    before = count("other", "404"), count("/api/recommend", "422")
    for path in ("/a", "/b", "/c"):
        measured.client.get(path)
    measured.recommend()
    after = count("other", "404"), count("/api/recommend", "422")
    assert after == (before[0] + 3, before[1] + 1)
    # As the documentation writes a route, not as the router does.
    similar = count("/api/jobs/{job_id}/similar", "200")
    measured.client.get("/api/jobs/5/similar")
    assert count("/api/jobs/{job_id}/similar", "200") == similar + 1
    seconds = metric(
        measured, "recommender_request_seconds_count", route="/api/recommend"
    )
    assert seconds >= 1


def test_the_state_of_jobs_pool_and_process_is_shown(measured: Service) -> None:
    assert metric(measured, "recommender_jobs", state="embedded") == JOBS
    assert metric(measured, "recommender_jobs", state="pending") == 1
    assert metric(measured, "recommender_ready") == 1
    assert metric(measured, "recommender_pool_size") == 4
    for name in ("pool_in_use", "pool_waiting", "queue_depth"):
        assert metric(measured, f"recommender_{name}") == 0
    megabytes = metric(measured, "recommender_process_anonymous_bytes") / 2**20
    assert 20 < megabytes < 100
    assert metric(measured, "process_open_fds") > 5


def test_the_dashboard_shows_only_metrics_that_exist(measured: Service) -> None:
    measured.recommend(skills="python")
    text = measured.client.get("/metrics").text
    families = list(text_string_to_metric_families(text))
    exported = {sample.name for family in families for sample in family.samples}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in METRIC.findall(target["expr"])
    }
    assert shown - exported == set()
    # And each metric of ours is on it.
    ours = {f.name for f in families if f.name.startswith("recommender_")}
    unseen = {name for name in ours if not any(s.startswith(name) for s in shown)}
    assert unseen == set()


def test_readiness_turns_to_zero_when_the_service_cannot_answer(
    measured: Service, url: str
) -> None:
    run(url, "ALTER TABLE users RENAME COLUMN skills TO elsewhere")
    assert measured.client.get("/readyz").status_code == 503
    assert metric(measured, "recommender_ready") == 0
    run(url, "ALTER TABLE users RENAME COLUMN elsewhere TO skills")
    assert measured.client.get("/readyz").status_code == 200
    assert metric(measured, "recommender_ready") == 1
