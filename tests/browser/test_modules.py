"""Functions of the page's modules, run in the browser."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.visit import visiting

METRICS = """\
# HELP x_seconds Time.
# TYPE x_seconds histogram
x_seconds_bucket{le="0.1",route="/a"} 5.0
x_seconds_bucket{le="0.5",route="/a"} 9.0
x_seconds_bucket{le="+Inf",route="/a"} 10.0
x_seconds_count{route="/a"} 10.0
x_seconds_sum{route="/a"} 2.5
x_seconds_count{route="/b \\"q\\", r"} 0.0
up 1.0
bytes 1.5e+08
"""


@pytest.fixture(scope="module")
def page(browser: Browser, site: str) -> Iterator[Page]:
    with visiting(browser, site) as page:
        yield page


def run_in(page: Page, module: str, expression: str, argument: object = None) -> Any:
    """The value of an expression over the exports of a module, `m`, and `x`."""
    return page.evaluate(
        f"""async (x) => {{
            const base = document.querySelector("script[src]").src;
            const m = await import(new URL("{module}", base));
            return {expression};
        }}""",
        argument,
    )


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.5, 0.1),
        (0.25, 0.05),  # in the middle of the first bucket, which begins at 0
        (0.7, 0.3),  # half-way through the second
        (0.99, 0.5),  # beyond the last bound: that bound
    ],
)
def test_a_quantile_is_interpolated_in_its_bucket(
    page: Page, share: float, expected: float
) -> None:
    found = run_in(
        page,
        "metrics.js",
        "m.quantile(m.histogram(m.parseMetrics(x.text), 'x_seconds'), x.share)",
        {"text": METRICS, "share": share},
    )
    assert math.isclose(found, expected)


def test_metrics_are_read_with_their_labels(page: Page) -> None:
    found = run_in(
        page,
        "metrics.js",
        """(() => {
            const s = m.parseMetrics(x);
            return [
                m.value(s, "up"), m.value(s, "bytes"), m.value(s, "none"),
                m.value(s, "x_seconds_count"),
                m.value(s, "x_seconds_sum", {route: "/a"}),
                m.labelValues(s, "x_seconds_count", "route"),
                m.quantile(m.histogram(s, "none"), 0.5),
            ];
        })()""",
        METRICS,
    )
    assert found == [1, 150_000_000, None, 10, 2.5, ["/a", '/b "q", r'], None]


@pytest.mark.parametrize(
    ("text", "skills", "marked"),
    [
        ("Java, JavaScript", ["JavaScript"], ["JavaScript"]),
        ("JavaScript, Java", ["Java"], ["Java"]),  # not a part of another word
        ("C++, C", ["C"], ["C"]),
        ("PYTHON; sql", ["python", "SQL"], ["PYTHON", "sql"]),
        ("sql, sql", ["sql", "sql"], ["sql", "sql"]),
        ("data analysis", ["data", "data analysis"], ["data"]),  # none overlap
        ("cooking", ["welding", ""], []),
        (
            "İstanbul tours, sql",
            ["sql"],
            ["sql"],
        ),  # the lower case of İ has two letters
        ("naïve café", ["café"], ["café"]),
    ],
)
def test_a_mention_is_marked_where_it_is_a_word_of_its_own(
    page: Page, text: str, skills: list[str], marked: list[str]
) -> None:
    found = run_in(
        page,
        "highlight.js",
        "m.pieces(x.text, x.skills.map((s) => ({job_skill: s})))",
        {"text": text, "skills": skills},
    )
    assert "".join(piece["text"] for piece in found) == text
    assert [piece["text"] for piece in found if piece["pair"]] == marked


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a, b;c\nd|e\tf", ["a", "b", "c", "d", "e", "f"]),
        ("Cloud (AWS, Azure), SQL", ["Cloud (AWS, Azure)", "SQL"]),
        ("a), b", ["a)", "b"]),  # closed but never opened
        (" , ,, ", []),
        ("", []),
    ],
)
def test_a_text_is_split_where_the_service_splits_it(
    page: Page, text: str, items: list[str]
) -> None:
    assert run_in(page, "chips.js", "m.splitItems(x)", text) == items
