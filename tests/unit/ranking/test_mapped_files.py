"""Headers are whole or absent, and files are mapped as they were written."""

from pathlib import Path

import numpy as np
import pytest

from app.ranking.mapped_files import (
    mapped,
    opened,
    read_header,
    write_at,
    write_header,
)

VALUES = {"rows": 3, "error": 0.25, "position": {"revision": 7}, "after": None}


def test_a_header_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "header.json"
    assert read_header(path) is None
    write_header(path, VALUES)
    write_header(path, VALUES | {"rows": 4})
    assert read_header(path) == VALUES | {"rows": 4}
    assert list(tmp_path.iterdir()) == [path]


def test_a_header_with_any_byte_changed_is_none(tmp_path: Path) -> None:
    path = tmp_path / "header.json"
    write_header(path, VALUES)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + b"9" + whole[place + 1 :])
        if whole[place] != ord("9"):
            assert read_header(path) in (None, VALUES)
        path.write_bytes(whole[:place])
        assert read_header(path) is None


@pytest.mark.parametrize("is_random", [False, True])
def test_rows_are_mapped_as_they_were_written(
    tmp_path: Path, *, is_random: bool
) -> None:
    path = tmp_path / "rows"
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    with opened([path]) as (descriptor,):
        write_at(descriptor, rows[2:].tobytes(), rows[:2].nbytes)
        write_at(descriptor, rows[:2].tobytes(), 0)
    dtype = np.dtype(("<f4", (3,)))
    assert np.array_equal(mapped(path, dtype, 4, is_random=is_random), rows)
    found = mapped(path, dtype, 2, is_random=is_random)
    assert np.array_equal(found, rows[:2])
    assert not found.flags.writeable
    assert mapped(path, dtype, 0).shape == (0, 3)
