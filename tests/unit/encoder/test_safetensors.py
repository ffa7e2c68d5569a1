"""`app.encoder.safetensors`: views of a valid file, errors for a damaged one."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.encoder.safetensors import SafeTensors
from app.errors import ModelUnavailableError

VALUES = np.arange(12, dtype="<f4")
HEADER = {
    "__metadata__": {"format": "pt"},
    "bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    "weight": {"dtype": "F32", "shape": [3, 2], "data_offsets": [8, 32]},
    "tail": {"dtype": "F32", "shape": [4], "data_offsets": [32, 48]},
    "half": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
    "short": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
    "beyond": {"dtype": "F32", "shape": [2], "data_offsets": [44, 52]},
}


def content(header: Any = HEADER) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + VALUES.tobytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content())
    return path


def test_a_tensor_has_its_shape_and_values(path: Path) -> None:
    weight = SafeTensors(path).tensor("weight")
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, [[2, 3], [4, 5], [6, 7]])


def test_a_tensor_is_a_view_that_cannot_be_written(path: Path) -> None:
    weight = SafeTensors(path).tensor("weight")
    assert not weight.flags.owndata
    assert not weight.flags.writeable


@pytest.mark.parametrize("shape", [None, (3, 2), (None, 2), (3, None)])
def test_a_tensor_of_the_expected_shape_is_given(
    path: Path, shape: tuple[int | None, ...] | None
) -> None:
    assert SafeTensors(path).tensor("weight", shape=shape).shape == (3, 2)


@pytest.mark.parametrize("shape", [(2, 3), (6,), (3, 2, 1), (None,)])
def test_a_tensor_of_another_shape_is_refused(
    path: Path, shape: tuple[int | None, ...]
) -> None:
    with pytest.raises(ModelUnavailableError, match=r"weight has the shape \(3, 2\)"):
        SafeTensors(path).tensor("weight", shape=shape)


def test_names_may_stand_behind_a_prefix(path: Path) -> None:
    path.write_bytes(content({f"bert.{name}": at for name, at in HEADER.items()}))
    tensors = SafeTensors(path)
    assert tensors.prefix_of("weight") == "bert."
    assert tensors.prefix_of("absent") == ""
    assert "bert.weight" in tensors
    assert "weight" not in tensors


def test_advice_about_a_tensor_within_one_page_does_nothing(path: Path) -> None:
    SafeTensors(path).advise_random("weight")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("missing", "has no tensor missing"),
        ("half", "half is not 8 bytes of float32"),
        ("short", "short is not 12 bytes of float32"),
        ("beyond", f"beyond ends after byte {len(content())}, the last"),
    ],
)
def test_a_tensor_that_is_not_there_as_described_is_refused(
    path: Path, name: str, fault: str
) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        SafeTensors(path).tensor(name)
    assert str(caught.value) == f"{path} {fault}: run `python scripts/fetch_model.py`."


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (b"", "cannot be read"),  # cannot be mapped
        (b"\x08\x00\x00", "header ends at byte 16 of 3"),
        (b"\xff" * 8 + b"{}", r"header ends at byte \d+ of 10"),
        (content()[:40], r"header ends at byte \d+ of 40"),
        (b"\x02" + bytes(7) + b"{:", "header is not JSON"),
        (b"\x02" + bytes(7) + b"\xff\xff", "header is not JSON"),  # no UTF-8
        (b"\x02" + bytes(7) + b"[]", "header is not a JSON object"),
    ],
)
def test_a_broken_file_is_refused(path: Path, broken: bytes, fault: str) -> None:
    path.write_bytes(broken)
    sentence = f"^{re.escape(str(path))} {fault}: run `python scripts/fetch_model.py`.$"
    with pytest.raises(ModelUnavailableError, match=sentence):
        SafeTensors(path)


def test_a_file_cut_within_a_tensor_is_refused(path: Path) -> None:
    path.write_bytes(content()[:-20])
    with pytest.raises(ModelUnavailableError, match="tail ends after byte"):
        SafeTensors(path).tensor("tail")


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"absent cannot be read: run"):
        SafeTensors(tmp_path / "absent")
