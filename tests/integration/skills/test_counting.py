"""When the backfill counts the jobs of each skill."""

from uuid import UUID

import numpy as np

from app.backfill.vocabulary import RECOUNT_ROWS
from app.backfill.watch import Work
from app.storage.connection.database import Database
from tests.integration.skills.test_ranking import insert
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.skills import all_work, count_jobs_of, forget_counts


def backfill_of(database: Database, *, stays_up: bool = False) -> Work:
    return all_work(database, HashEncoder(), stays_up=stays_up)


def done(backfill: Work) -> None:
    for _ in backfill.run():
        pass


def stamp(url: str) -> UUID | None:
    ((found,),) = run(
        url, "SELECT counts_stamp::text FROM recommender.skill_vocabulary"
    )
    return found and UUID(found)


def test_a_run_that_changed_jobs_counts_how_many_list_each_skill(
    database: Database, database_url: str
) -> None:
    insert(database, "skill_job1", {1: "sql, go", 2: "SQL; sql", 3: "", 4: None})
    insert(database, "users", {1: "sql, rust"})
    done(backfill_of(database))
    assert count_jobs_of(database_url) == {"sql": 2, "go": 1}
    assert run(
        database_url, "SELECT jobs_counted FROM recommender.skill_vocabulary"
    ) == [(2,)]
    before = stamp(database_url)
    done(backfill_of(database))
    assert stamp(database_url) == before
    run(database_url, "UPDATE skill_job1 SET skills = 'go' WHERE job_id = 1")
    done(backfill_of(database))
    assert count_jobs_of(database_url) == {"sql": 1, "go": 1}
    assert stamp(database_url) != before


def test_one_that_stays_up_counts_at_first_and_after_many_changes_only(
    database: Database, database_url: str
) -> None:
    insert(database, "skill_job1", {1: "sql"})
    backfill = backfill_of(database, stays_up=True)
    assert backfill.any_waiting()
    done(backfill)
    insert(database, "skill_job1", dict.fromkeys(range(2, 2 + RECOUNT_ROWS), "go"))
    done(backfill)
    assert count_jobs_of(database_url) == {"sql": 1}
    insert(database, "skill_job1", {1000: "go"})
    done(backfill)
    assert count_jobs_of(database_url) == {"sql": 1, "go": RECOUNT_ROWS + 1}


def test_jobs_that_were_filled_before_there_were_counts_are_counted(
    database: Database, database_url: str
) -> None:
    insert(database, "skill_job1", {1: "sql"})
    backfill = backfill_of(database, stays_up=True)
    done(backfill)
    done(backfill)
    assert not backfill.any_waiting()
    forget_counts(database)
    assert backfill.any_waiting()
    done(backfill)
    assert count_jobs_of(database_url) == {"sql": 1}
    assert not backfill.any_waiting()


def test_removed_skills_make_the_counts_void_and_removing_by_us_counts_anew(
    database: Database, database_url: str
) -> None:
    insert(database, "skill_job1", {1: "sql", 2: "go"})
    done(backfill_of(database))
    run(database_url, "DELETE FROM recommender.skill WHERE skill = 'go'")
    assert count_jobs_of(database_url) is None
    run(database_url, "DELETE FROM skill_job1 WHERE job_id = 1")
    insert(database, "skill_job1", {3: "rust"})
    backfill = backfill_of(database)
    done(backfill)
    assert backfill.vocabulary.remove_unused() == 1
    assert count_jobs_of(database_url) == {"removed": 1, "rust": 1}


def test_ids_that_no_skill_has_cost_no_memory(
    database: Database, database_url: str
) -> None:
    insert(database, "skill_job1", {1: "sql", 2: "go"})
    done(backfill_of(database))
    run(
        database_url,
        "UPDATE recommender.job_state SET skill_ids = %s WHERE job_id = 2",
        (np.array([-1, 9_999_999], "<i4").tobytes(),),
    )
    forget_counts(database)
    done(backfill_of(database))
    assert count_jobs_of(database_url) == {"sql": 1}
    ((length, jobs),) = run(
        database_url,
        "SELECT octet_length(job_counts), jobs_counted"
        " FROM recommender.skill_vocabulary",
    )
    assert (length, jobs) == (4 * 3, 2)
