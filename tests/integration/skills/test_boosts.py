"""The rankings by skills with freshness, boosts, and limits per value."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.query.boosts import Boosts
from app.query.constraints import Constraints
from app.query.cursor import from_text
from app.query.query import Query
from app.query.result import Hit, Result
from app.query.variety import Variety
from app.ranking.base import RankingContext
from app.ranking.dispatch import Dispatcher
from app.ranking.registry import RANKINGS, build_rankings
from app.ranking.retrieval.base import EntrySource
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.replica.keeper import ReplicaKeeper
from app.ranking.retrieval.replica.search import ReplicaSearch
from app.ranking.retrieval.replica.view_store import ViewStore
from app.storage.connection.database import Database
from tests.integration.skills.test_hybrid import texts
from tests.integration.skills.test_ranking import insert
from tests.support.encoders import BlendEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.queries import profile_query, results
from tests.support.ranking import SCOPE
from tests.support.skills import fill

JOBS = texts(150, seed=6)
TEXT = "aword1 bword2, cword3, aword4 cword5"
BOOST = Boosts(boost="priority")
NAMES = pytest.mark.parametrize("name", ["skills", "hybrid"])


@pytest.fixture(scope="module")
def filled(postgres: Server) -> Iterator[Database]:
    """Jobs with a priority and a company, which no test changes."""
    with fresh_database(postgres) as url, closing(Database(url, pool_size=4)) as filled:
        fill_in(filled, url)
        yield filled


def fill_in(database: Database, url: str) -> None:
    insert(database, "skill_job1", JOBS)
    run(url, "ALTER TABLE skill_job1 ADD priority float8, ADD company int")
    rng = np.random.default_rng(1)
    rows = [(id_, float(rng.uniform(0, 4)), int(rng.integers(12))) for id_ in JOBS]
    run(
        url,
        "UPDATE skill_job1 AS j SET priority = n.priority, company = n.company"
        " FROM unnest(%s::bigint[], %s::float8[], %s::int[])"
        " AS n (id, priority, company) WHERE j.job_id = n.id",
        [list(column) for column in zip(*rows, strict=True)],
    )
    fill(database, BlendEncoder())


@pytest.fixture(scope="module", params=["stream", "replica"])
def dispatcher(
    filled: Database,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Dispatcher:
    """All rankings over these jobs."""
    folder = tmp_path_factory.mktemp("cache")
    source = None if request.param == "stream" else kept(filled, folder)
    context = RankingContext(
        filled,
        BlendEncoder(),
        FullScan(version=BlendEncoder.version, scan_chunk_rows=16),
        folder,
        job_columns=("priority", "company"),
        entry_source=source,
    )
    return Dispatcher(build_rankings(context))


def kept(database: Database, folder: Path) -> EntrySource:
    """A replica of the jobs as they are now."""
    views = ViewStore()
    version = BlendEncoder.version
    with closing(
        ReplicaKeeper(database, views, folder / "replica", version=version)
    ) as keeper:
        keeper.run_once()
    return ReplicaSearch(views, version=version, scan_chunk_rows=16)


def ask(dispatcher: Dispatcher, *queries: Query) -> list[Result]:
    return results(dispatcher.run(queries, SCOPE))


def priority(hit: Hit) -> float:
    assert hit.columns is not None
    return min(10.0, max(0.1, float(hit.columns["priority"])))  # type: ignore[arg-type]


def all_hits(dispatcher: Dispatcher, query: Query) -> list[Hit]:
    hits: list[Hit] = []
    cursor: str | None = None
    while not hits or cursor is not None:
        after = None if cursor is None else from_text(cursor)
        (page,) = ask(dispatcher, replace(query, constraints=Constraints(after=after)))
        hits += page.hits
        cursor = page.next_cursor
    return hits


@NAMES
def test_scores_are_multiplied_and_the_rest_is_as_before(
    dispatcher: Dispatcher, name: str
) -> None:
    query = profile_query(len(JOBS), text=TEXT, ranking=name)
    plain, found = ask(dispatcher, query)[0], ask(
        dispatcher, replace(query, key=replace(query.key, boosts=BOOST))
    )[0]  # fmt: skip
    before = {hit.id: hit for hit in plain.hits}
    thresholds = RANKINGS[name].thresholds
    assert thresholds is not None
    for hit in found.hits:
        was = before[hit.id]
        assert hit.factor == pytest.approx(priority(hit))
        assert hit.match_score == pytest.approx(
            (was.match_score or 0) * priority(hit), abs=1e-5
        )
        assert (hit.similarity_score, hit.parts, hit.explanation) == (
            was.similarity_score,
            was.parts,
            was.explanation,
        )
        assert hit.relevance == was.relevance
    # A score that a factor rounds to nothing is none.
    assert len(found.hits) >= len(plain.hits) - 2
    scores = [(-(hit.match_score or 0)) for hit in found.hits]
    assert scores == sorted(scores)


@NAMES
@pytest.mark.parametrize("distinct", [False, True])
def test_pages_are_parts_of_one_order(
    dispatcher: Dispatcher, name: str, distinct: bool
) -> None:
    query = profile_query(
        len(JOBS), text=TEXT, ranking=name, distinct=distinct, boosts=BOOST
    )
    (whole,) = ask(dispatcher, query)
    hits = all_hits(dispatcher, replace(query, top_k=7))
    assert [(hit.id, hit.match_score) for hit in hits] == [
        (hit.id, hit.match_score) for hit in whole.hits
    ]


@NAMES
@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("diversity", [0.0, 0.4])
def test_no_company_has_more_than_its_limit_on_all_pages(
    dispatcher: Dispatcher, name: str, distinct: bool, diversity: float
) -> None:
    variety = Variety((("company", 2),), diversity)
    query = profile_query(
        6, text=TEXT, ranking=name, distinct=distinct, variety=variety
    )
    hits = all_hits(dispatcher, query)
    ids = [hit.id for hit in hits]
    assert len(ids) == len(set(ids)) > 12
    counts = Counter(hit.columns["company"] for hit in hits if hit.columns)
    assert max(counts.values()) == 2
    assert all((hit.repeats is not None) == distinct for hit in hits)
    if not diversity:
        scores = [-(hit.match_score or 0) for hit in hits]
        assert scores == sorted(scores)


@NAMES
def test_a_diverse_page_of_twenty_is_two_of_ten(
    dispatcher: Dispatcher, name: str
) -> None:
    query = profile_query(
        20, text=TEXT, ranking=name, distinct=True, variety=Variety((), 0.5)
    )
    (whole,) = ask(dispatcher, query)
    hits = all_hits(dispatcher, replace(query, top_k=10))
    assert [hit.id for hit in hits[:20]] == [hit.id for hit in whole.hits]
