"""Texts are split again after a change of how they are split, and only then."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing

import psycopg2
import pytest

from app.backfill.watch import Work
from app.ranking.skills.parse import SPLIT_VERSION, Skill, skill_key, split_skills
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.skills import all_work, fill, skills_of, total_of

READERS = ("claim_store", "vocabulary")
CHANGED = "SELECT job_id, changed::text FROM recommender.job_state ORDER BY job_id"
TASKS = "SELECT count(*) FROM recommender.resplit"

Switch = Callable[[int], None]


@pytest.fixture
def use_version(monkeypatch: pytest.MonkeyPatch) -> Switch:
    """From the call on the code is of this version; later ones than today's split at
    dashes, too.
    """

    def split_at_dashes(text: str) -> list[Skill]:
        names = (part.strip() for part in text.replace("-", ",").split(","))
        return [Skill(name, skill_key(name)) for name in names if name]

    today = split_skills

    def use(version: int) -> None:
        split = split_at_dashes if version > SPLIT_VERSION else today
        monkeypatch.setattr("app.ranking.skills.splitting.split_skills", split)
        for module in READERS:
            monkeypatch.setattr(f"app.backfill.{module}.SPLIT_VERSION", version)

    return use


def add_jobs(url: str, *texts: str | None) -> None:
    for text in texts:
        run(url, "INSERT INTO skill_job1 (skills) VALUES (%s)", [text])


def fill_with(work: Work) -> None:
    # Once more: that no skill is stale is known of an unchanged vocabulary.
    for _ in range(2):
        list(work.run())


def changed_jobs(url: str, before: Sequence[tuple[object, ...]]) -> list[object]:
    return [
        now[0] for now, was in zip(run(url, CHANGED), before, strict=True) if now != was
    ]


def test_another_version_splits_all_again_and_writes_what_differs(
    database: Database, database_url: str, use_version: Switch
) -> None:
    add_jobs(database_url, "a-b, c", "c, d", None)
    run(database_url, "INSERT INTO users VALUES (7, 'a-b')")
    fill(database, HashEncoder())
    before = run(database_url, CHANGED)
    use_version(SPLIT_VERSION + 1)
    encoder = HashEncoder()
    fill(database, encoder)
    assert skills_of(database_url) == [["a", "b", "c"], ["c", "d"], None]
    assert skills_of(database_url, "user_state", "user_id") == [["a", "b"]]
    assert changed_jobs(database_url, before) == [1]
    assert sorted(encoder.seen) == ["a", "b"]  # no text is embedded again
    assert run(database_url, TASKS) == [(0,)]


def test_the_first_version_finds_nothing_to_split_again(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "a, b")
    work = all_work(database, HashEncoder())
    assert total_of(work.run()).split == 0
    assert run(database_url, TASKS) == [(0,)]
    fill_with(work)
    assert not work.any_waiting()


def test_it_goes_on_where_it_was_broken_off(
    database: Database,
    database_url: str,
    use_version: Switch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_jobs(database_url, *["a-b"] * 5)
    fill(database, HashEncoder())
    use_version(SPLIT_VERSION + 1)
    monkeypatch.setattr("app.backfill.resplit.RESPLIT_ROWS", 2)
    stop = threading.Event()
    for done in all_work(database, HashEncoder(), stop=stop).run():
        if done.split:
            stop.set()
    assert skills_of(database_url)[1:3] == [["a", "b"], ["a-b"]]
    rest = all_work(database, HashEncoder())
    assert rest.any_waiting()
    assert total_of(rest.run()).split == 3
    assert skills_of(database_url) == [["a", "b"]] * 5
    assert not rest.any_waiting()


def test_f59_two_versions_side_by_side_do_not_undo_one_another(
    database: Database, database_url: str, use_version: Switch
) -> None:
    add_jobs(database_url, "a-b")
    old = all_work(database, HashEncoder())
    fill_with(old)
    use_version(SPLIT_VERSION + 1)
    new = all_work(database, HashEncoder())
    fill_with(new)
    use_version(SPLIT_VERSION)
    add_jobs(database_url, "c-d")
    fill_with(old)  # it works on, and leaves what the new version made
    assert skills_of(database_url) == [["a", "b"], ["c-d"]]
    assert not old.any_waiting()
    use_version(SPLIT_VERSION + 1)
    assert new.any_waiting()
    fill_with(new)
    assert skills_of(database_url) == [["a", "b"], ["c", "d"]]
    assert not new.any_waiting()


def test_f59_a_rolled_back_version_splits_its_own_way(
    database: Database, database_url: str, use_version: Switch
) -> None:
    add_jobs(database_url, "a-b")
    use_version(SPLIT_VERSION + 1)
    new = all_work(database, HashEncoder())
    fill_with(new)
    use_version(SPLIT_VERSION)
    fill(database, HashEncoder())  # started later
    assert skills_of(database_url) == [["a-b"]]
    use_version(SPLIT_VERSION + 1)
    assert new.any_waiting()  # it was there all the time
    fill_with(new)
    assert skills_of(database_url) == [["a", "b"]]


def test_a_row_that_an_editor_holds_is_split_again_later(
    database: Database, database_url: str, use_version: Switch
) -> None:
    add_jobs(database_url, "a-b", "a-c")
    fill(database, HashEncoder())
    use_version(SPLIT_VERSION + 1)
    work = all_work(database, HashEncoder())
    with closing(psycopg2.connect(database_url)) as editor:
        with editor.cursor() as cursor:
            cursor.execute("SELECT FROM skill_job1 WHERE job_id = 1 FOR UPDATE")
        fill_with(work)
        assert skills_of(database_url) == [["a-b"], ["a", "c"]]
        assert work.any_waiting()
        editor.rollback()
    fill_with(work)
    assert skills_of(database_url) == [["a", "b"], ["a", "c"]]
    assert not work.any_waiting()
