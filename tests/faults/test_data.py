"""Unusual texts of users, through the whole service."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.encoder.reference import ReferenceEncoder
from app.ranking.popular import POPULAR
from app.storage.codec import to_bytes
from tests.support.postgres import Server, fresh_database
from tests.support.rows import add_job, add_user
from tests.support.service import ROOT, Service, running_service

TEXTS = [
    "python, sql",
    "\U0001f469\u200d\U0001f4bb coding \U0001f680, \U0001f1eb\U0001f1f7",
    "\u0645\u0647\u0646\u062f\u0633 \u0628\u0631\u0645\u062c\u064a\u0627\u062a",
    "\u200bzero\u200dwidth\ufeff \u2060joiners",
    "cafe\u0301 and caf\u00e9, z\u0335a\u0322l\u0337g\u0321o\u0336",
    "\u6570\u636e\u5206\u6790, \ub370\uc774\ud130",
    "\u202ereversed\u202c text",
]


@pytest.fixture(scope="module")
def reference() -> ReferenceEncoder:
    return ReferenceEncoder(ROOT / "models" / "all-MiniLM-L6-v2", device="cpu")


@pytest.fixture(scope="module")
def service(
    postgres: Server,
    reference: ReferenceEncoder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    with fresh_database(postgres) as url:
        for number, vector in enumerate(reference.encode(TEXTS)):
            add_job(url, number, TEXTS[number], embedding=to_bytes(vector))
            add_user(url, number, TEXTS[number])
        add_user(url, 100, None)
        add_user(url, 101, " \t ")
        log_file: Path = tmp_path_factory.mktemp("data") / "log"
        with running_service(url, log_file) as service:
            yield service


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_f30_every_script_gets_the_similarities_of_the_reference_model(
    service: Service, reference: ReferenceEncoder, number: int
) -> None:
    vectors = reference.encode(TEXTS)
    expected = dict(enumerate((vectors @ vectors[number]).tolist()))
    for asked in ({"user_id": number}, {"skills": TEXTS[number]}):
        jobs = service.recommend(**asked).json()["recommendations"]
        assert jobs[0]["job_id"] == number
        found = {job["job_id"]: job["similarity_score"] for job in jobs}
        assert found == pytest.approx(expected, abs=1e-5)
        assert jobs[0]["skills"] == TEXTS[number]


def test_f21_a_text_beyond_the_window_is_truncated_as_the_reference_does_it(
    service: Service, reference: ReferenceEncoder
) -> None:
    window = "python, sql " * 100  # 300 tokens, of which the model reads 256
    long = window + "cooking, gardening, sailing " * 1000
    jobs = service.recommend(skills=long).json()["recommendations"]
    vectors = reference.encode([long, *TEXTS])
    expected = np.sort(vectors[1:] @ vectors[0])[::-1]
    scores = [job["similarity_score"] for job in jobs]
    assert scores == pytest.approx(expected.tolist(), abs=1e-5)
    assert jobs == service.recommend(skills=window).json()["recommendations"]


@pytest.mark.parametrize("user_id", [100, 101])
def test_f20_a_user_without_skills_gets_popular_jobs_and_the_reason(
    service: Service, user_id: int
) -> None:
    response = service.recommend(user_id=user_id)
    assert response.status_code == 200
    answer = response.json()
    assert answer["success"] is True
    assert len(answer["recommendations"]) == len(TEXTS)
    assert {job["similarity_score"] for job in answer["recommendations"]} == {None}
    assert answer["detail"] == POPULAR
