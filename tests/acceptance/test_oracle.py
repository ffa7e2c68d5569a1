"""Real postings and real users against sentence-transformers and scikit-learn.

The oracle is the guide's arithmetic: encode with SentenceTransformer, compare with
`cosine_similarity`. The ranking by skills is compared with its reference implementation
over the same rows. Set REAL_DATA_DIR to run it; CI does.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.commands.embed import main as generate_embeddings
from app.commands.import_csv.cleaning import cleaner
from app.commands.import_csv.command import main as import_csv
from app.commands.migrate import migrate
from app.encoder.lazy import LazyEncoder
from app.ranking.skills.parse import split_skills
from app.storage.codec import from_bytes
from app.storage.connection.database import Database
from tests.support.columns import (
    NAMES,
    add_columns,
    made_filters,
    made_rows,
    matches,
)
from tests.support.compared import assert_ranked_naively
from tests.support.encoders import Remembering
from tests.support.oracle import MODEL_DIR, TOLERANCE, oracle_embeddings
from tests.support.postgres import Server, fresh_database, run
from tests.support.service import Service, running_service

JOBS = 5000
USERS = 50
TOP_N = 10

# The real postings have no columns with known values: these are generated.
COLUMNS = dict(enumerate(made_rows(JOBS, seed=5), start=1))

# float32 leaves the last digits of a score to the order of its additions: the oracle
# itself gives "JavaScript" and "javascript", which are one text to the model, scores
# that differ by 1e-7. Jobs nearer than this are a tie, and ties go by job_id.
NEAR = 1e-6


@pytest.fixture(scope="module")
def filled(
    real_data: Path, postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Real rows through the importer and the backfill."""
    folder = tmp_path_factory.mktemp("oracle")
    jobs, users = folder / "jobs.csv", folder / "users.csv"
    cut(real_data / "jobs_real.csv", jobs, JOBS)
    cut(real_data / "users_open.csv", users, USERS)
    with fresh_database(postgres) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        assert import_csv(["jobs", str(jobs)]) == 0
        assert import_csv(["users", str(users)]) == 0
        assert generate_embeddings([]) == 0
        add_columns(url, COLUMNS)
        yield url


@pytest.fixture(scope="module")
def service(
    filled: str, search_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """With each backend over the same rows: they have vectors from the second on."""
    if search_backend == "pgvector":
        list(migrate(filled, extras=["pgvector"]))
        assert generate_embeddings([]) == 0
    log = tmp_path_factory.mktemp("oracle") / "service.log"
    with running_service(filled, log, JOB_COLUMNS=NAMES) as running:
        yield running


def cut(source: Path, target: Path, rows: int) -> None:
    with source.open(newline="") as whole, target.open("w", newline="") as part:
        csv.writer(part).writerows(islice(csv.reader(whole), rows + 1))


def texts(file: Path, key: str, count: int) -> tuple[list[int], list[str]]:
    """Of the first `count` rows, those with a text; "N/A" alone is not a text."""
    is_text = cleaner("text", ",")
    with file.open(newline="") as rows:
        first = islice(csv.DictReader(rows), count)
        found = [row for row in first if is_text(row["skills"]) is not None]
    return [int(row[key]) for row in found], [row["skills"] for row in found]


@pytest.fixture(scope="module")
def embeddings(real_data: Path) -> np.ndarray:
    """(jobs, 384) float32. Equal texts are encoded once, so that their scores are
    equal.
    """
    _, jobs = texts(real_data / "jobs_real.csv", "job_id", JOBS)
    distinct = sorted(set(jobs))
    place = {text: number for number, text in enumerate(distinct)}
    return oracle_embeddings(distinct)[[place[text] for text in jobs]]


@pytest.fixture(scope="module")
def similarities(real_data: Path, embeddings: np.ndarray) -> np.ndarray:
    """(users, jobs) float32."""
    # Imported on demand: every worker collects these tests.
    from sklearn.metrics.pairwise import cosine_similarity  # noqa: PLC0415

    _, users = texts(real_data / "users_open.csv", "user_id", USERS)
    return np.asarray(cosine_similarity(oracle_embeddings(users), embeddings))


@pytest.mark.timeout(1200)  # both encoders embed 5,000 texts
def test_every_stored_embedding_is_that_of_sentence_transformers(
    filled: str, real_data: Path, embeddings: np.ndarray
) -> None:
    job_ids, _ = texts(real_data / "jobs_real.csv", "job_id", JOBS)
    rows = run(filled, "SELECT job_id, embedding FROM skill_job1 ORDER BY job_id")
    stored = {job_id: data for job_id, data in rows if data is not None}
    assert sorted(stored) == sorted(job_ids)
    ours = np.stack([from_bytes(stored[job_id]) for job_id in job_ids])
    difference = np.abs(ours - embeddings).max()
    print(f"\n{len(ours)} texts, at most {difference:.1e} apart")
    assert difference < TOLERANCE


@pytest.mark.timeout(900)
def test_the_best_by_skills_for_200_users_are_those_of_the_naive_ranking(
    filled: str, real_data: Path, tmp_path: Path
) -> None:
    jobs = {
        job_id: text
        for job_id, text in run(filled, "SELECT job_id, skills FROM skill_job1")
        if split_skills(text or "")
    }
    assert len(jobs) > JOBS - 20
    with (real_data / "users_open.csv").open(newline="") as file:
        users = [row["skills"] for row in csv.DictReader(file)]
    users = [text for text in users if split_skills(text)]
    stored = run(filled, "SELECT skill, embedding FROM recommender.skill")
    encoder = Remembering(
        LazyEncoder(MODEL_DIR), {skill: from_bytes(data) for skill, data in stored}
    )
    with closing(Database(filled, pool_size=4)) as database:
        assert_ranked_naively(
            database,
            encoder,
            tmp_path,
            jobs=jobs,
            users=random.Random(6).sample(users, 200),
        )


@pytest.mark.timeout(1200)
def test_every_answer_equals_the_oracles(
    service: Service, real_data: Path, similarities: np.ndarray
) -> None:
    job_ids, job_texts = texts(real_data / "jobs_real.csv", "job_id", JOBS)
    user_ids, _ = texts(real_data / "users_open.csv", "user_id", USERS)
    place = {job_id: number for number, job_id in enumerate(job_ids)}
    for user_id, scores in zip(user_ids, similarities, strict=True):
        answer = service.recommend(user_id=user_id, top_n=TOP_N).json()
        assert answer["total_jobs_analyzed"] == len(job_ids) > JOBS - 10
        got = answer["recommendations"]
        assert [job["skills"] for job in got] == [
            job_texts[place[job["job_id"]]] for job in got
        ]
        assert_same(got, job_ids, scores)


@pytest.mark.timeout(1200)
def test_filtered_answers_equal_the_oracles_for_200_random_filters(
    service: Service, real_data: Path, similarities: np.ndarray
) -> None:
    job_ids, _ = texts(real_data / "jobs_real.csv", "job_id", JOBS)
    user_ids, _ = texts(real_data / "users_open.csv", "user_id", USERS)
    rng = random.Random(11)
    counts = []
    for number in range(200):
        given = made_filters(rng, list(COLUMNS.values()))
        matching = [n for n, id_ in enumerate(job_ids) if matches(given, COLUMNS[id_])]
        user = number % len(user_ids)
        answer = service.recommend(
            user_id=user_ids[user], top_n=TOP_N, filters=given
        ).json()
        assert answer["total_jobs_analyzed"] == len(matching), given
        assert_same(
            answer["recommendations"],
            [job_ids[n] for n in matching],
            similarities[user][matching],
        )
        for job in answer["recommendations"]:
            assert matches(given, COLUMNS[job["job_id"]])
        counts.append(len(matching))
    # Guard against empty results: most filters match some jobs, and few match all.
    assert sum(count > TOP_N for count in counts) > 100
    print(
        f"\n200 filters on {JOBS} real jobs: {min(counts)} to {max(counts)} match,"
        f" {sum(count > TOP_N for count in counts)} filters match more than {TOP_N}"
    )


def assert_same(
    got: Sequence[dict[str, Any]], job_ids: Sequence[int], scores: np.ndarray
) -> None:
    """The oracle's jobs in the oracle's order, and its scores to 1e-5."""
    place = {job_id: number for number, job_id in enumerate(job_ids)}
    order = np.lexsort((np.array(job_ids), -scores))[:TOP_N]
    assert len(got) == len({job["job_id"] for job in got}) == min(TOP_N, len(job_ids))
    for job, wanted in zip(got, order, strict=True):
        ours, theirs = scores[place[job["job_id"]]], scores[wanted]
        assert abs(job["similarity_score"] - theirs) <= 1e-5
        # The same job, or one that ties with it.
        assert abs(ours - theirs) <= NEAR
    for before, after in pairwise(got):
        ranks = [(-job["similarity_score"], job["job_id"]) for job in (before, after)]
        assert ranks[0] < ranks[1]
    by_text = {job["skills"].lower(): job["similarity_score"] for job in got}
    assert all(by_text[job["skills"].lower()] == job["similarity_score"] for job in got)
