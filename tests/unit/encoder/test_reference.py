"""`app.encoder.reference`: the pinned model without network access."""

import math
from pathlib import Path

import numpy as np
import pytest

from app.encoder import Encoder
from app.encoder.reference import ReferenceEncoder
from app.errors import ModelUnavailableError


def test_it_is_an_encoder_of_the_same_version(reference: ReferenceEncoder) -> None:
    encoder: Encoder = reference
    assert encoder.version == "all-MiniLM-L6-v2"
    assert encoder.dimension == 384
    assert encoder.encode([]).shape == (0, 384)


def test_it_gives_the_similarities_of_the_model_card(
    reference: ReferenceEncoder,
) -> None:
    sentences = [
        "The weather is lovely today.",
        "It's so sunny outside!",
        "He drove to the stadium.",
    ]
    weather, sunny, stadium = reference.encode(sentences)
    # https://sbert.net/docs/quickstart.html prints 0.6660 and 0.1046.
    assert math.isclose(float(weather @ sunny), 0.6660, abs_tol=5e-5)
    assert math.isclose(float(weather @ stadium), 0.1046, abs_tol=5e-5)


def test_it_reads_256_tokens_and_no_more(reference: ReferenceEncoder) -> None:
    at_limit, beyond, below = reference.encode(
        ["sql " * 254, "sql " * 254 + "java", "sql " * 253]
    )
    np.testing.assert_allclose(at_limit, beyond, atol=1e-6)
    assert np.abs(at_limit - below).max() > 1e-5


def test_absent_files_are_an_error_that_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailableError, match=r"run `python scripts/fetch_model\.py`"
    ):
        ReferenceEncoder(tmp_path)
