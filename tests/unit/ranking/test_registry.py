"""The list of rankings, and unknown names."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from app.batching.batcher import BatchScope
from app.config import Settings, read_settings
from app.encoder.lazy import LazyEncoder
from app.errors import ConfigError
from app.query.query import BatchKey, Query
from app.query.result import Outcome
from app.ranking.base import Ranking, RankingContext
from app.ranking.registry import RANKINGS, OnDemand, build_rankings, check_rank_by
from app.ranking.retrieval.full_scan import FullScan
from app.services import Services
from app.storage.connection.database import Database
from tests.support.queries import profile_query
from tests.support.ranking import rank

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def test_each_ranking_stands_under_its_own_name() -> None:
    assert [entry.name for entry in RANKINGS.values()] == list(RANKINGS)
    assert all(entry.summary for entry in RANKINGS.values())


@pytest.mark.parametrize("name", RANKINGS)
def test_a_name_of_the_list_is_taken(name: str) -> None:
    assert check_rank_by(name) == name


@pytest.mark.parametrize("name", ["", "Similarity", "skills ", "random"])
def test_an_unknown_rank_by_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_rank_by(name)
    assert str(raised.value) == f"RANK_BY should be one of {', '.join(RANKINGS)}."


def test_a_service_with_an_unknown_rank_by_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    monkeypatch.setenv("RANK_BY", "random")
    with pytest.raises(ConfigError, match="RANK_BY should be one of similarity, "):
        Services(read_settings(Settings))


class Nothing:
    """A ranking without jobs."""

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        del key, queries, scope
        return []


def test_a_ranking_is_built_once_and_with_its_first_batch() -> None:
    built: list[Ranking] = []

    def build() -> Ranking:
        built.append(Nothing())
        return built[-1]

    ranking = OnDemand(build)
    assert not built
    for _ in range(2):
        assert rank(ranking, [profile_query(user_id=1)]) == []
        assert len(built) == 1


def test_building_all_rankings_connects_to_nothing_and_loads_no_model(
    tmp_path: Path,
) -> None:
    encoder = LazyEncoder(tmp_path / "no model")
    context = RankingContext(
        Database(NOWHERE, pool_size=1),
        encoder,
        FullScan(version=encoder.version, scan_chunk_rows=16),
        tmp_path / "cache",
    )
    assert build_rankings(context).keys() == RANKINGS.keys()
    assert not encoder.loaded
    assert not (tmp_path / "cache").exists()
