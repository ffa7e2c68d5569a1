"""`app.encoder.pooling` compared with loops over the tokens of each text."""

from typing import get_args

import numpy as np
import pytest

from app.encoder.pooling import pooled
from app.encoder.spec import Pooling

TOKENS = np.random.default_rng(1).standard_normal((3, 9)).astype(np.float32)
STARTS = [0, 4, 5]
BY_TEXT = {
    "mean": lambda text: text.mean(axis=1),
    "cls": lambda text: text[:, 0],
    "max": lambda text: text.max(axis=1),
}


@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_each_text_is_pooled_by_itself(pooling: Pooling) -> None:
    found = pooled(TOKENS, STARTS, pooling)
    for vector, text in zip(found, np.split(TOKENS, STARTS[1:], axis=1), strict=True):
        expected = BY_TEXT[pooling](text)
        assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
