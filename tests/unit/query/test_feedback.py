"""What a user's events say: jobs to leave out, and a taste."""

from app.query.feedback import MAX_TASTE, NO_FEEDBACK, Taste, UserFeedback

# Newest first.
EVENTS = UserFeedback(
    (
        ("dismissed", 9, "b"),
        ("saved", 8, "c"),
        ("applied", 7, "a"),
        ("saved", 6, "b"),
        ("saved", 5, "a"),
        ("dismissed", 4, "d"),
    )
)


def test_jobs_that_were_applied_for_or_dismissed_are_left_out() -> None:
    assert EVENTS.left_out == ["b", "a", "d"]
    assert NO_FEEDBACK.left_out == []


def test_a_job_is_liked_once_and_not_if_it_was_dismissed() -> None:
    assert EVENTS.taste() == Taste(("c", "a"), ("b", "d"), 9)
    assert NO_FEEDBACK.taste() == Taste()


def test_a_taste_of_an_earlier_time_ignores_what_came_later() -> None:
    assert EVENTS.taste(9) == EVENTS.taste()
    assert EVENTS.taste(8) == Taste(("c", "a", "b"), ("d",), 8)
    assert EVENTS.taste(4) == Taste((), ("d",), 4)
    assert EVENTS.taste(3) == EVENTS.taste(0) == Taste()


def test_only_the_newest_jobs_make_a_taste() -> None:
    many = UserFeedback(tuple(("saved", 1000 - n, str(n)) for n in range(50)))
    assert many.taste().liked == tuple(map(str, range(MAX_TASTE)))
