"""The setting INTERLEAVE."""

import pytest

from app.query.interleaving import Alternative, read_alternative


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (" ", None),
        ("rank_by:similarity", Alternative("rank_by", "similarity")),
        (" diversity : 0.3 ", Alternative("diversity", "0.3")),
        ("diversity:0", Alternative("diversity", "0")),
        ("diversity:1.0", Alternative("diversity", "1.0")),
    ],
)
def test_it_names_an_option_and_its_other_value(
    text: str, expected: Alternative | None
) -> None:
    assert read_alternative(text) == expected


@pytest.mark.parametrize(
    "text",
    ["rank_by", "top_n:3", "diversity:1.1", "diversity:much", "rank_by:a,b", "a:b:c"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rank_by:similarity|from 0 to 1"):
        read_alternative(text)
