"""The file that lists the shards, and which partition lies on which."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commands.shards.layout import (
    ShardLayout,
    ShardServer,
    placement,
    read_layout,
    value_of,
)
from app.errors import ConfigError
from app.storage.shards import PlacedPart

URL = "postgresql://user@host/name"


def parts_on(*shards: str | None) -> list[PlacedPart]:
    return [PlacedPart(f"jobs_{n}", shard, "") for n, shard in enumerate(shards)]


def layout_of(*names: str) -> ShardLayout:
    return ShardLayout([ShardServer(name, URL) for name in names])


SHARDS = ("a", "b", "c", "d")


@given(
    st.lists(st.sampled_from([None, *SHARDS]), min_size=1, max_size=20),
    st.sets(st.sampled_from(SHARDS), min_size=1),
)
def test_servers_get_equal_numbers_with_as_few_moves_as_can_be(
    held: list[str | None], names: set[str]
) -> None:
    parts = parts_on(*held)
    placed = placement(parts, layout_of(*sorted(names)))
    counts = Counter(placed.values())
    least, more = divmod(len(parts), len(names))
    assert sorted(counts[name] for name in names) == sorted(
        [least + 1] * more + [least] * (len(names) - more)
    )
    # Each server keeps what it has, up to what it is to have.
    kept = sum(placed[part.name] == part.shard for part in parts)
    had = sorted((held.count(name) for name in names), reverse=True)
    room = [least + 1] * more + [least] * (len(names) - more)
    assert kept == sum(map(min, had, room))


def test_without_servers_all_lies_on_the_coordinator() -> None:
    assert placement(parts_on("a", None), layout_of()) == {
        "jobs_0": None,
        "jobs_1": None,
    }


def test_values_lie_where_the_file_says() -> None:
    layout = ShardLayout(
        [ShardServer("a", URL, ["de", "o'r"]), ShardServer("b", URL, ["7"])], "region"
    )
    parts = [
        PlacedPart("jobs_0", None, "FOR VALUES IN ('de')"),
        PlacedPart("jobs_1", "b", "FOR VALUES IN ('o''r')"),
        PlacedPart("jobs_2", None, "FOR VALUES IN (7)"),
        PlacedPart("jobs_3", "a", "FOR VALUES IN ('it')"),
        PlacedPart("jobs_other", None, "DEFAULT"),
    ]
    assert list(placement(parts, layout).values()) == ["a", "a", "b", None, None]
    assert value_of(parts[4]) is None


def test_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARD_TWO", f"{URL}2")
    file = tmp_path / "shards.toml"
    file.write_text(
        f'partitions = 4\n[servers.one]\nurl = "{URL}"\n'
        '[servers.two]\nurl = "$SHARD_TWO"\n'
    )
    assert read_layout(file) == ShardLayout(
        [ShardServer("one", URL), ShardServer("two", f"{URL}2")], None, 4
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("partitions = 0", "partitions is a number from 1 to 1024."),
        ("partitions = 4\ncolumn = 'x'", "column names one column, and needs no part"),
        ("server = 1", "remove server, which is not known."),
        ("servers = 1", r"write each server as \[servers.NAME\]."),
        ("[servers.One]\nurl = 'x'", "a name has small letters, digits and _ only."),
        ("[servers.one]\nurls = 'x'", "may have url and values only."),
        ("[servers.one]\nurl = ''", r"url is a connection string, or \$VARIABLE."),
        ("[servers.one]\nurl = '$ABSENT'", "the variable ABSENT is not set."),
        ("[servers.one]\nurl = 'mysql://x'", 'its scheme "mysql://" is not that of'),
        (f"[servers.one]\nurl = '{URL}'\nvalues = ['a']", "values belong to a layout"),
        (f"column = 'x'\n[servers.one]\nurl = '{URL}'", "values belong to a layout"),
        (
            f"column = 'x'\n[servers.one]\nurl = '{URL}'\nvalues = ['a', 'a']",
            "The value a of x is listed twice; leave it with one server.",
        ),
        (
            f"column = 'x'\n[servers.one]\nurl = '{URL}'\nvalues = [\"\\u0000\"]",
            "a value holds the character 0; remove it.",
        ),
        (
            f"column = 'x'\n[servers.one]\nurl = '{URL}'\nvalues = 'de'",
            "values belong to a layout with column, a list for each server.",
        ),
        ("[[", "cannot be read"),
    ],
)
def test_a_file_with_a_fault_is_refused_with_what_to_do(
    tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "shards.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=said) as refused:
        read_layout(file)
    assert "\n" not in str(refused.value)
