"""The ranking by skills beside its reference implementation, user by user."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from app.encoder import Encoder
from app.storage.connection.database import Database
from tests.support.naive import NaiveRows
from tests.support.queries import profile_query
from tests.support.skills import ask

TOP_N = 10
AT_ONCE = 20
# The last bit of a vector, float32 in one and float64 in the other, may turn one of the
# roundings that the weights come from: 3e-6 was seen, 1e-6 with real texts.
MAX_ERROR = 5e-6


def assert_ranked_naively(
    database: Database,
    encoder: Encoder,
    folder: Path,
    *,
    jobs: Mapping[int, str],
    users: Sequence[str],
) -> None:
    """The ten best jobs of each user, in their order, and their scores.

    `jobs` have been split, and `encoder` gives the vectors of their skills. `folder` is
    where the ranking keeps its files.
    """
    naive = NaiveRows(encoder, jobs)
    differ, off = 0, 0.0
    for start in range(0, len(users), AT_ONCE):
        part = users[start : start + AT_ONCE]
        questions = [profile_query(TOP_N, text=text, ranking="skills") for text in part]
        for text, answer in zip(
            part, ask(database, encoder, folder, *questions), strict=True
        ):
            expected = naive.best(text, size=TOP_N)
            differ += [m.id for m in answer.hits] != [id_ for id_, _ in expected]
            for match, (_, score) in zip(answer.hits, expected, strict=True):
                assert match.explanation is not None
                off = max(off, abs(match.explanation.score - score))
    print(f"\n{len(jobs)} jobs, {len(users)} users: {differ} differ, by {off:.1e}")
    # float32 leaves its last digits to the order of additions: jobs nearer than half a
    # published digit may change places.
    assert differ <= len(users) // 200
    assert off <= MAX_ERROR
