"""Sort numbers and keep each once, as `np.unique` does."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.integer)


def distinct(numbers: NDArray[Number]) -> NDArray[Number]:
    """(n,) sorted, without repeats, of any shape.

    `np.unique` imports numpy.ma, which takes 1.1 MB of the web process.
    """
    ordered = np.sort(numbers, axis=None)
    is_first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return ordered[is_first]
