"""Limits per value, as the setting MAX_PER writes them."""

import pytest

from app.query.variety import NO_VARIETY, Variety, read_max_per


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", ()),
        ("company:2", (("company", 2),)),
        (" b : 1 , a:999,", (("a", 999), ("b", 1))),
        ("a:b:3", (("a:b", 3),)),
    ],
)
def test_pairs_are_read_in_the_order_of_the_columns(
    text: str, limits: tuple[tuple[str, int], ...]
) -> None:
    assert read_max_per(text) == limits


@pytest.mark.parametrize("text", ["company", ":2", "a:0", "a:-1", "a:1000", "a:1,a:2"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pairs such as company:2"):
        read_max_per(text)


def test_no_variety_is_false() -> None:
    assert not NO_VARIETY
    assert Variety((("a", 1),))
    assert Variety(diversity=0.1)
