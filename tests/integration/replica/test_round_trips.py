"""A recommendation for a known user takes two messages to the database."""

from contextlib import closing

from app.storage.connection.database import Database
from tests.integration.replica.replicas import Exercise, around
from tests.support.cluster import socket_of
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.proxy import running_proxy
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import VERSION, add_user, admit


def add_embedded_user(url: str) -> None:
    add_user(url, 7, "python")
    admit(url)
    run(
        url,
        "UPDATE recommender.user_state SET embedding = %s, embedding_version = %s",
        (around(1, seed=9)[0].tobytes(), VERSION),
    )


def test_a_request_for_a_known_user_takes_two_round_trips(filled: Exercise) -> None:
    add_embedded_user(filled.url)
    queries = [profile_query(5, user_id=7)]
    stream = ranking_over(filled.database, HashEncoder())
    with running_proxy(socket_of(filled.url)) as proxy:
        name = filled.url.split("?")[0].rpartition("/")[2]
        with closing(Database(proxy.url(name), pool_size=1)) as database:
            ranking = ranking_over(
                database,
                HashEncoder(),
                retrieval=filled.replica,
                entry_source=filled.replica,
            )
            for number in range(3):
                run(
                    filled.url,
                    "UPDATE skill_job1 SET embedding = NULL WHERE job_id ="
                    " (SELECT min(job_id) FROM skill_job1 WHERE embedding IS NOT NULL)",
                )
                # The first connects, and counts what is pending.
                before = proxy.upstream_messages
                (found,) = results(rank(ranking, queries))
                # And one that reads what has changed.
                assert number == 0 or proxy.upstream_messages - before == 3
                (expected,) = results(rank(stream, queries))
                assert found.hits == expected.hits
                assert len(found.hits) == 5
                assert found.analyzed == expected.analyzed
            before = proxy.upstream_messages
            assert results(rank(ranking, queries))[0].hits == found.hits
            assert proxy.upstream_messages - before == 2


def test_an_unknown_user_and_a_text_are_answered_as_without_the_look_ahead(
    filled: Exercise,
) -> None:
    add_embedded_user(filled.url)
    ranking = ranking_over(
        filled.database,
        HashEncoder(),
        retrieval=filled.replica,
        entry_source=filled.replica,
    )
    stream = ranking_over(filled.database, HashEncoder())
    for query in (
        profile_query(5, user_id=99),
        profile_query(5, text="100% python"),
        profile_query(5, user_id=7),
    ):
        (found,), (expected,) = rank(ranking, [query]), rank(stream, [query])
        assert type(found) is type(expected)
        assert getattr(found, "hits", None) == getattr(expected, "hits", None)
