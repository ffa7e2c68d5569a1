"""A failure to explain leaves the ranking by similarity valid."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.embedding import embed
from tests.support.postgres import Server, fresh_database
from tests.support.rows import add_pending_jobs, add_user
from tests.support.service import Service, running_service

JOBS = [f"skill {n}, python, sql of kind {n}" for n in range(30)]


@pytest.fixture(scope="module")
def url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres) as url:
        add_pending_jobs(url, JOBS)
        add_user(url, 1, "python, skill 3")
        embed(url)
        yield url


# A folder that cannot hold the vocabulary's files, and how to start the service.
PLACES: dict[str, tuple[str, Sequence[str]]] = {
    "below a file": ("{folder}/log/cache", ()),
    "on a file system that takes no folder": ("/proc/cache", ()),
    # As on a full disk: 60 vectors are larger than this.
    "where there is no room": ("{folder}/cache", ("prlimit", "--fsize=20000")),
}


@pytest.mark.parametrize("place", PLACES)
def test_f133_an_answer_stands_without_reasons_that_cannot_be_given(
    url: str, tmp_path: Path, place: str
) -> None:
    cache, wrapper = PLACES[place]
    with running_service(
        url,
        tmp_path / "log",
        wrapper=wrapper,
        SKILL_CACHE_DIR=cache.format(folder=tmp_path),
    ) as service:
        assert_it_stands(service)
        # A ranking by skills needs them.
        refused = service.recommend(user_id=1, rank_by="skills")
        assert refused.status_code == 503
        assert "SKILL_CACHE_DIR" in refused.json()["detail"]


def assert_it_stands(service: Service) -> None:
    asked = {"user_id": 1, "top_n": 5}
    plain = service.recommend(**asked).json()
    explained = service.recommend(**asked, explain=True)
    assert explained.status_code == 200
    remark = explained.json()["detail"]
    assert remark.startswith("The explanations are missing. The folder of SKILL_")
    assert explained.json() == plain | {"detail": remark}
    body = {"user_ids": [1, 2], "top_n": 5, "explain": True}
    found = service.client.post("/api/recommend/batch", json=body).json()["results"]
    assert found[0] == {"user_id": 1, **plain, "detail": remark}
    assert found[1]["detail"] == "No user has this user_id."
