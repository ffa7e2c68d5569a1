"""A model whose similarities are crowded together, on the scale of the guide's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.commands.calibrate_model import ComparedModels, calibrate_model, main
from app.commands.calibration.labels import Question, ndcg, read_labels, recall
from app.commands.calibration.scales import GUIDES_SKILLS
from app.errors import ConfigError
from app.query.result import Hit, Relevance
from app.ranking.dispatch import Dispatcher
from app.storage.connection.database import Database
from tests.integration.models.encoders import PaddedEncoder, SmallEncoder
from tests.integration.models.test_dimensions import texts
from tests.integration.models.test_switching import switch_to
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import SCOPE, rank, ranking_over
from tests.support.rows import add_pending_jobs, add_user
from tests.support.skills import fill

GUIDE = PaddedEncoder.version
SHARE = 0.75
JOBS, USERS = 90, 40


class CrowdedEncoder(SmallEncoder):
    """Cosines c of the guide's model are SHARE + (1 - SHARE) c by this one."""

    version = "crowded"
    dimension = SmallEncoder.dimension + 1

    def encode(
        self, texts: Sequence[str], *, prompt: str = "query"
    ) -> NDArray[np.float32]:
        rows = SmallEncoder().encode(texts, prompt=prompt)
        common = np.full((len(texts), 1), SHARE**0.5)
        return np.hstack([common, rows * (1 - SHARE) ** 0.5]).astype(np.float32)


ENCODERS: Mapping[str, SmallEncoder] = {
    encoder.version: encoder for encoder in (PaddedEncoder(), CrowdedEncoder())
}


@pytest.fixture
def filled(database: Database, database_url: str) -> Database:
    """Rows that both models have embedded."""
    add_pending_jobs(database_url, texts(JOBS, 1))
    for number, text in enumerate(texts(USERS, 2)):
        add_user(database_url, number, text)
    fill(database, PaddedEncoder())
    switch = switch_to(database, CrowdedEncoder())
    switch.begin()
    list(switch.fill())
    return database


def calibrate(
    database: Database,
    version: str = CrowdedEncoder.version,
    other: str | None = GUIDE,
    labels: Sequence[Question] = (),
) -> list[str]:
    models = ComparedModels(version, other, labels)
    return list(calibrate_model(database, ENCODERS.__getitem__, models))


def best(
    database: Database, folder: Path, version: str, ranking: str
) -> list[list[Hit]]:
    built = ranking_over(
        database, ENCODERS[version], name=ranking, folder=folder / version
    )
    asked = [
        profile_query(JOBS, user_id=user, ranking=ranking) for user in range(USERS)
    ]
    # Skills that no job has, so that whole texts count.
    asked.append(profile_query(JOBS, text="word1 unheard, of", ranking=ranking))
    return [list(result.hits) for result in results(rank(built, asked))]


def scores(found: list[list[Hit]]) -> list[dict[object, float]]:
    return [{hit.id: hit.match_score or 0 for hit in hits} for hits in found]


@pytest.mark.parametrize("ranking", ["skills", "hybrid"])
def test_scores_by_a_calibrated_model_are_those_of_the_guide(
    filled: Database, tmp_path: Path, ranking: str
) -> None:
    wanted = best(filled, tmp_path, GUIDE, ranking)
    crowded = best(filled, tmp_path, CrowdedEncoder.version, ranking)
    off = [
        abs(hit.match_score - before.get(hit.id, 0))
        for hits, before in zip(crowded, scores(wanted), strict=True)
        for hit in hits
        if hit.match_score is not None
    ]
    assert max(off) > 0.1
    calibrate(filled)
    found = best(filled, tmp_path, CrowdedEncoder.version, ranking)
    for hits, before in zip(scores(found), scores(wanted), strict=True):
        # The rarity of skills is counted by codes, whose error is scaled as well.
        assert hits == pytest.approx(before, abs=5e-3)


def test_thresholds_without_labels_keep_the_shares_of_hits(
    filled: Database, database_url: str, tmp_path: Path
) -> None:
    lines = calibrate(filled)
    assert lines[0].startswith("Similarities are read on the scale of all-MiniLM-L6-v2")
    assert {line.split(":")[0] for line in lines[1:]} == {"skills", "hybrid"}
    stored = (
        "SELECT calibration->'thresholds' FROM recommender.model WHERE version = %s"
    )
    ((thresholds,),) = run(database_url, stored, (CrowdedEncoder.version,))
    for ranking, (possible, strong) in thresholds.items():
        found, before = (
            np.array(
                [
                    hit.match_score
                    for hits in best(filled, tmp_path, version, ranking)[:USERS]
                    for hit in hits[:10]
                ]
            )
            for version in (CrowdedEncoder.version, GUIDE)
        )
        least = {"skills": (0.1, 0.3), "hybrid": (0.15, 0.3)}[ranking]
        for own, others in zip((possible, strong), least, strict=True):
            assert (found >= own).mean() == pytest.approx(
                (before >= others).mean(), abs=0.01
            )


def relevances(
    database: Database, folder: Path, ranking: str
) -> list[Relevance | None]:
    built = ranking_over(database, PaddedEncoder(), name=ranking, folder=folder)
    query = profile_query(10, user_id=1, ranking=ranking)
    outcomes = Dispatcher({ranking: built}).run([query], SCOPE)
    return [hit.relevance for result in results(outcomes) for hit in result.hits]


def test_labels_measure_both_models_and_choose_what_answers_call_strong(
    filled: Database, database_url: str, tmp_path: Path
) -> None:
    before = relevances(filled, tmp_path, "skills")
    assert "strong" in before
    found = best(filled, tmp_path, GUIDE, "skills")
    greatest = max(hits[0].match_score or 0 for hits in found[:USERS])
    # The two best jobs of each user are right: so nearly none of the others is strong.
    labels = [
        Question({str(hit.id): float(n < 2) for n, hit in enumerate(hits)}, str(user))
        for user, hits in enumerate(found[:USERS])
    ]
    lines = calibrate(filled, GUIDE, CrowdedEncoder.version, labels)
    assert f"skills: R@10 1.000 (1.000 to 1.000) by {GUIDE}, " in "\n".join(lines)
    assert f"skills: nDCG@10 1.000 (1.000 to 1.000) by {GUIDE}, " in "\n".join(lines)
    assert sum(f"; {USERS} questions." in line for line in lines) == 6
    ((possible, strong),) = run(
        database_url,
        "SELECT (calibration#>>'{thresholds,skills,0}')::float,"
        " (calibration#>>'{thresholds,skills,1}')::float"
        " FROM recommender.model WHERE version = %s",
        (GUIDE,),
    )
    assert 0.1 < possible < strong <= greatest
    after = relevances(filled, tmp_path, "skills")
    assert after.count("strong") < before.count("strong")


def test_without_labels_the_guides_model_keeps_its_thresholds(
    filled: Database, database_url: str
) -> None:
    assert calibrate(filled, GUIDE, CrowdedEncoder.version) == []
    stored = "SELECT calibration FROM recommender.model WHERE version = %s"
    assert run(database_url, stored, (GUIDE,)) == [(None,)]


def test_a_model_alone_takes_the_scale_of_the_sample(
    filled: Database, database_url: str
) -> None:
    lines = calibrate(filled, other=None)
    assert len(lines) == 1
    stored = "SELECT calibration->'skills'->1->0 FROM recommender.model"
    ((first,),) = run(
        database_url, f"{stored} WHERE version = %s", (CrowdedEncoder.version,)
    )
    assert first == pytest.approx(GUIDES_SKILLS[0])


def test_the_command_says_what_is_missing(
    database: Database,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert main([]) == 2
    assert "No row is embedded yet; run `" in capsys.readouterr().err
    add_pending_jobs(database_url, ["python, sql"])
    fill(database, PaddedEncoder())
    assert main(["--labels", "absent.csv"]) == 2
    assert "The labels absent.csv cannot be read" in capsys.readouterr().err
    assert main([]) == 0
    assert capsys.readouterr() == ("", "")


def test_labels_are_read_by_question(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(
        "user_id,query,job_id,relevance\n1,,7,2\n1,,8,0\n,nurse,9,1\n2,,9,0\n",
        encoding="utf-8",
    )
    assert read_labels(file) == [
        Question({"7": 2, "8": 0}, "1"),
        Question({"9": 1}, None, "nurse"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("user_id,job_id,relevance\n1,7,x\n", "Line 2 of"),
        ("user_id,query,job_id,relevance\n1,a,7,1\n", "Line 2 of"),
        ("user_id,relevance\n1,1\n", "Line 2 of"),
        ("user_id,job_id,relevance\n1,7,0\n", "No line of"),
    ],
)
def test_what_is_no_label_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence):
        read_labels(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_labels(tmp_path / "absent.csv")


def test_measures_of_hits() -> None:
    relevance = {"a": 2.0, "b": 1.0, "c": 0.0}
    assert ndcg(["a", "b"], relevance) == 1
    # (1 + 2 / log2 3) / (2 + 1 / log2 3)
    assert ndcg(["b", "a"], relevance) == pytest.approx(0.859719, abs=1e-6)
    assert ndcg(["c", "x"], relevance) == 0
    eleventh = [*"defghijklm", "a"]
    assert (recall(eleventh, relevance), ndcg(eleventh, relevance)) == (0, 0)
    assert recall(eleventh[1:], relevance) == 1
