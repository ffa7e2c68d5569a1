"""The list of rankings, and unknown names."""

from pathlib import Path

import pytest

from app.config import Settings, read_settings
from app.encoder.lazy import LazyEncoder
from app.errors import ConfigError
from app.ranking.base import RankingContext
from app.ranking.registry import RANKINGS, build_rankings, check_rank_by
from app.ranking.retrieval.full_scan import FullScan
from app.services import Services
from app.storage.connection.database import Database

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
