"""The vocabulary's local files follow the database in all cases."""

import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from psycopg2.sql import SQL

from app.deadline import Deadline
from app.errors import SkillCacheError
from app.ranking.skills import vocabulary_cache as cache_module
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.skills.vocabulary_cache import VocabularyCache
from app.ranking.skills.vocabulary_files import SETTLED_S
from app.storage.connection.database import Database
from app.storage.skills import known_skills, store_skills, stream_skills
from tests.support.encoders import HashEncoder, direction
from tests.support.service import ROOT
from tests.support.waiting import be_slow

VERSION = HashEncoder.version
KILLS = 5
SUFFIXES = {".codes", ".exact", ".named", ".texts", ".words", ".json"}


def add(database: Database, *skills: str, version: str = VERSION) -> None:
    with database.write(Deadline.after(30)) as transaction:
        vectors = HashEncoder().encode(skills)
        store_skills(transaction, skills, vectors, version=version)


def run(database: Database, statement: str) -> None:
    with database.write(Deadline.after(30)) as transaction:
        transaction.execute(SQL(statement))


def refreshed(database: Database, cache: VocabularyCache) -> Vocabulary:
    with database.snapshot(Deadline.after(30)) as transaction:
        return cache.refresh(transaction)


def holds(database: Database, vocabulary: Vocabulary, *skills: str) -> bool:
    """Whether the vocabulary has the vectors of these skills under their ids."""
    with database.snapshot(Deadline.after(30)) as transaction:
        ids = known_skills(transaction, skills, version=VERSION)
    found = vocabulary.vectors(np.array([ids[skill] for skill in skills], np.int32))
    return np.allclose(found, [direction(skill) for skill in skills], atol=1e-6)


def test_the_next_batch_adds_new_skills_to_the_files(
    database: Database, tmp_path: Path
) -> None:
    cache = VocabularyCache(tmp_path, version=VERSION)
    assert refreshed(database, cache).rows == 0
    add(database, "a", "b")
    assert holds(database, refreshed(database, cache), "a", "b")
    add(database, "c")
    assert holds(database, refreshed(database, cache), "a", "b", "c")


def test_nothing_new_is_read_from_the_database_when_nothing_changed(
    database: Database, tmp_path: Path
) -> None:
    add(database, "a")
    cache = VocabularyCache(tmp_path, version=VERSION)
    assert refreshed(database, cache) is refreshed(database, cache)
    # Another process with the same folder.
    other = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert holds(database, other, "a")


def test_a_removed_skill_makes_a_new_vocabulary_and_the_old_files_go(
    database: Database, tmp_path: Path
) -> None:
    add(database, "a", "b")
    cache = VocabularyCache(tmp_path, version=VERSION)
    old = refreshed(database, cache)
    run(database, "DELETE FROM recommender.skill WHERE skill = 'b'")
    new = refreshed(database, cache)
    assert (old.rows, new.rows) == (3, 2)
    assert holds(database, new, "a")
    assert {path.suffix for path in tmp_path.iterdir()} == SUFFIXES
    assert len(list(tmp_path.iterdir())) == len(SUFFIXES)


def words_in(vocabulary: Vocabulary, *words: str) -> dict[str, list[int]]:
    skill, column = vocabulary.holding(words)
    return {word: skill[column == place].tolist() for place, word in enumerate(words)}


def test_the_words_of_each_skill_are_kept_whatever_is_written_again(
    database: Database, tmp_path: Path
) -> None:
    add(database, "baking bread", "bread and butter")
    cache = VocabularyCache(tmp_path, version=VERSION)
    asked = ("bread", "butt", "and", "ship")
    expected = {"bread": [1, 2], "butt": [2], "and": [], "ship": []}
    assert words_in(refreshed(database, cache), *asked) == expected
    # The same skill is stored again with others: its words are kept, once.
    run(database, "UPDATE recommender.skill SET embedding = embedding")
    add(database, "ship of bread")
    expected = {"bread": [1, 2, 3], "butt": [2], "and": [], "ship": [3]}
    for found in (
        refreshed(database, cache),
        refreshed(database, VocabularyCache(tmp_path, version=VERSION)),
    ):
        assert words_in(found, *asked) == expected
        assert found.codes["words"].tolist() == [0, 2, 2, 2]
        assert words_in(found) == {}


def test_an_embedding_that_was_written_again_is_read_again(
    database: Database, tmp_path: Path
) -> None:
    add(database, "a", "b")
    cache = VocabularyCache(tmp_path, version=VERSION)
    refreshed(database, cache)
    run(
        database,
        "UPDATE recommender.skill SET embedding ="
        " (SELECT embedding FROM recommender.skill WHERE skill = 'b')",
    )
    found = refreshed(database, cache).vectors(np.array([1, 2], np.int32))
    np.testing.assert_array_equal(found[0], found[1])


def test_f29_skills_of_another_version_are_not_read(
    database: Database, tmp_path: Path
) -> None:
    add(database, "a", version="another")
    vocabulary = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert vocabulary.rows == 0


def test_slices_are_kept_when_the_reading_breaks_off(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "VOCABULARY_SLICE_ROWS", 4)
    names = [f"skill {n}" for n in range(11)]
    add(database, *names)
    real, calls = stream_skills, []

    def broken(*args: object, **kwargs: object) -> None:
        calls.append(kwargs["after"])
        if len(calls) == 3:
            raise ConnectionError("gone")
        real(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(cache_module, "stream_skills", broken)
    with pytest.raises(SkillCacheError):
        refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    vocabulary = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert holds(database, vocabulary, *names)
    # Resumed twice after a failure, never restarted.
    assert len(calls) == 4
    assert calls[2] == calls[3] != calls[0]


@pytest.mark.parametrize("kind", ["codes", "exact"])
def test_a_file_that_lost_its_end_in_a_crash_is_built_anew(
    database: Database, tmp_path: Path, kind: str
) -> None:
    add(database, "a", "b")
    refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    (path,) = tmp_path.glob(f"*.{kind}")
    os.truncate(path, path.stat().st_size - 1)
    vocabulary = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert holds(database, vocabulary, "a", "b")


@pytest.mark.parametrize("kind", ["codes", "exact", "json"])
def test_a_file_that_is_gone_is_built_anew(
    database: Database, tmp_path: Path, kind: str
) -> None:
    add(database, "a", "b")
    refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    (path,) = tmp_path.glob(f"*.{kind}")
    path.unlink()
    vocabulary = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert holds(database, vocabulary, "a", "b")


def test_data_beyond_the_recorded_progress_is_rewritten_after_a_crash(
    database: Database, tmp_path: Path
) -> None:
    add(database, "a")
    refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    for kind in ("codes", "exact"):
        (path,) = tmp_path.glob(f"*.{kind}")
        with path.open("ab") as file:
            file.write(b"\x7f" * 1000)  # half a row of garbage
    add(database, "b")
    vocabulary = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert holds(database, vocabulary, "a", "b")


def test_files_of_another_format_are_built_anew(
    database: Database, tmp_path: Path
) -> None:
    add(database, "a", "b")
    refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    (progress,) = tmp_path.glob("*.json")
    progress.write_text(json.dumps(json.loads(progress.read_text()) | {"format": 0}))
    for kind in ("codes", "exact"):
        (path,) = tmp_path.glob(f"*.{kind}")
        path.write_bytes(b"\0" * path.stat().st_size)
    vocabulary = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert holds(database, vocabulary, "a", "b")


def test_another_models_files_are_left_alone_and_not_read(
    database: Database, tmp_path: Path
) -> None:
    add(database, "a")
    refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    other = refreshed(database, VocabularyCache(tmp_path, version="another"))
    assert other.rows == 0
    assert {path: path.read_bytes() for path in before} == before


def test_several_that_fill_one_folder_at_once_all_read_it_right(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "VOCABULARY_SLICE_ROWS", 16)
    names = [f"skill {n}" for n in range(100)]
    add(database, *names)
    caches = [VocabularyCache(tmp_path, version=VERSION) for _ in range(4)]
    with ThreadPoolExecutor(len(caches)) as pool:
        found = list(pool.map(lambda cache: refreshed(database, cache), caches))
    assert all(holds(database, vocabulary, *names) for vocabulary in found)


FILLER = """
import sys
from pathlib import Path
from app.deadline import Deadline
from app.ranking.skills import vocabulary_cache as cache
from app.storage.connection.database import Database
cache.SLICE_ROWS = 8
filled = cache.VocabularyCache(Path(sys.argv[2]), version=sys.argv[3])
with Database(sys.argv[1], pool_size=1).snapshot(Deadline.after(60)) as transaction:
    print("begin", flush=True)
    filled.refresh(transaction)
print("end", flush=True)
"""


def test_killed_at_any_moment_of_writing_the_next_one_goes_on(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    names = [f"skill {n}" for n in range(400)]
    add(database, *names)
    chance = random.Random()
    command = [sys.executable, "-c", FILLER, database_url, str(tmp_path), VERSION]
    for _ in range(KILLS):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        be_slow(chance.uniform(0, 0.2))
        process.kill()
        process.communicate()
    vocabulary = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert holds(database, vocabulary, *names)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": 3}'])
def test_progress_that_cannot_be_read_counts_as_none(
    database: Database, tmp_path: Path, text: str
) -> None:
    add(database, "a", "b")
    refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    (path,) = tmp_path.glob("*.json")
    path.write_text(text)
    vocabulary = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert holds(database, vocabulary, "a", "b")


def test_a_database_that_went_back_is_read_anew_once_that_is_sure(
    database: Database, tmp_path: Path
) -> None:
    add(database, "a")
    add(database, "b")
    refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    # As after restoring a backup: the same vocabulary, an earlier revision, other
    # skills.
    run(database, "ALTER TABLE recommender.skill DISABLE TRIGGER new_vocabulary")
    run(database, "DELETE FROM recommender.skill WHERE skill = 'b'")
    run(database, "UPDATE recommender.skill_vocabulary SET revision = 1")
    (path,) = tmp_path.glob("*.json")
    ahead = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert ahead.rows == 3
    long_ago = time.time() - 2 * SETTLED_S
    os.utime(path, (long_ago, long_ago))
    anew = refreshed(database, VocabularyCache(tmp_path, version=VERSION))
    assert anew.rows == 2


def test_a_folder_that_cannot_be_used_is_named_by_its_setting(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    cache = VocabularyCache(tmp_path / "file" / "folder", version=VERSION)
    with pytest.raises(SkillCacheError, match="folder of SKILL_CACHE_DIR cannot"):
        refreshed(database, cache)
