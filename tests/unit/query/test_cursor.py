"""Cursors: round trips and refusals."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInputError
from app.query import cursor
from app.query.constraints import CursorPosition

QUESTION = cursor.query_hash("similarity", "python", "the filters")
scores = st.floats(-1, 1).map(lambda score: round(score, 6))
ids = st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**63), 2**63)


@given(score=scores, second=scores, id_=ids, ranking_state=st.binary(max_size=512))
def test_a_cursor_comes_back_as_the_place_that_it_was_made_of(
    score: float, second: float, id_: int | str, ranking_state: bytes
) -> None:
    text = cursor.to_text(CursorPosition(score, second, id_, ranking_state), QUESTION)
    back = cursor.from_text(text)
    assert (back.score, back.second, back.id) == (score, second, str(id_))
    assert back.ranking_state == ranking_state
    cursor.check(back, QUESTION)
    with pytest.raises(InvalidInputError, match="belongs to another query"):
        cursor.check(back, cursor.query_hash("similarity", "java", "the filters"))


def test_each_part_of_a_query_changes_its_hash() -> None:
    parts = ("similarity", 1, "python", None)
    hashes = {cursor.query_hash(*parts)}
    for place in range(len(parts)):
        hashes.add(cursor.query_hash(*parts[:place], "other", *parts[place + 1 :]))
    assert len(hashes) == len(parts) + 1
    assert {len(hash_) for hash_ in hashes} == {cursor.CHECKSUM_BYTES}
    assert cursor.query_hash(*parts) in hashes


def test_a_cursor_needs_no_escape_in_an_address() -> None:
    for length in range(6):
        position = CursorPosition(0.5, 0.25, "x" * length, b"\xff" * length)
        assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor.to_text(position, QUESTION))


def test_no_cursor_is_the_first_page_of_any_query() -> None:
    cursor.check(None, QUESTION)


@given(st.text() | st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode()))
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="omit it to get the first page"):
        cursor.check(cursor.from_text(text), QUESTION)


def test_a_cursor_of_which_a_byte_was_changed_is_refused() -> None:
    text = cursor.to_text(CursorPosition(0.5, 0.25, 7), QUESTION)
    for place in range(len(text)):
        changed = (
            text[:place] + ("B" if text[place] == "A" else "A") + text[place + 1 :]
        )
        if base64.urlsafe_b64decode(changed + "==") == base64.urlsafe_b64decode(
            text + "=="
        ):
            continue  # the spare bits at the end
        with pytest.raises(InvalidInputError):
            cursor.check(cursor.from_text(changed), QUESTION)


def test_scores_that_are_no_numbers_are_refused() -> None:
    for score in (float("nan"), float("inf")):
        text = cursor.to_text(CursorPosition(score, 0.0, 1), QUESTION)
        with pytest.raises(InvalidInputError):
            cursor.from_text(text)


@pytest.mark.parametrize("end", ["W", "w", "Wx", "=", "+/", "\xff"])
def test_a_cursor_keeps_its_last_letters(end: str) -> None:
    """ "abW" makes one that ends in "X"."""
    text = cursor.to_text(CursorPosition(0.5, 0.25, f"ab{end}"), QUESTION)
    assert not text.endswith("=")
    assert cursor.from_text(text).id == f"ab{end}"


@pytest.mark.parametrize("letter", ["!", " ", "\n", "=", "é"])
def test_letters_that_no_cursor_has_are_not_passed_over(letter: str) -> None:
    text = cursor.to_text(CursorPosition(0.5, 0.25, 7), QUESTION)
    for place in (0, 5, len(text)):
        with pytest.raises(InvalidInputError):
            cursor.from_text(text[:place] + letter * 4 + text[place:])


def test_a_foreign_cursor_is_refused_with_what_to_do() -> None:
    text = cursor.to_text(CursorPosition(0.5, 0.25, 7), QUESTION)
    with pytest.raises(InvalidInputError) as raised:
        cursor.check(cursor.from_text(text), cursor.query_hash("another"))
    assert str(raised.value) == (
        "The cursor belongs to another query, or the user's skills or the model have"
        " changed; omit it to get the first page."
    )
