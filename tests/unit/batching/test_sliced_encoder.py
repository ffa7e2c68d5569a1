"""A batch stops encoding once its deadline passes or its callers cancel."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from app.batching.batcher import RUNNING, Batcher, BatchScope
from app.batching.cost import SLICE_TEXTS
from app.batching.sliced_encoder import SlicedEncoder
from app.deadline import Deadline
from app.errors import AppError, DeadlineExceededError
from tests.support.batching import only

TEXTS = [str(n) for n in range(5 * SLICE_TEXTS + 1)]


@dataclass(frozen=True)
class Asked:
    key: int = 0


class SlowEncoder:
    """Encodes a text to its number, and waits after each slice until released."""

    version = "slow"
    dimension = 1

    def __init__(self, slices: int) -> None:
        self.let_on = threading.Semaphore(slices)
        self.begun = threading.Event()
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.begun.set()
        assert self.let_on.acquire(timeout=30)
        self.seen += texts
        return np.array([[float(text)] for text in texts], np.float32)


def batcher(encoder: SlowEncoder, ended: threading.Event) -> Batcher[Asked, float]:
    sliced = SlicedEncoder(encoder)

    def run(asked: Sequence[Asked], _scope: BatchScope) -> Sequence[float | AppError]:
        try:
            return [float(sliced.encode(TEXTS)[-1, 0])] * len(asked)
        finally:
            ended.set()

    return Batcher(run)


def test_slices_equal_the_whole() -> None:
    encoder = SlowEncoder(slices=100)
    found = SlicedEncoder(encoder).encode(TEXTS)
    assert found[:, 0].tolist() == [float(text) for text in TEXTS]
    assert found.dtype == np.float32
    assert encoder.seen == TEXTS
    assert SlicedEncoder(encoder).encode([]).shape == (0, 1)


@pytest.mark.parametrize("leaves", [True, False], ids=["it left", "its time is up"])
def test_f103_nothing_is_encoded_for_a_request_that_is_over(leaves: bool) -> None:
    encoder, ended = SlowEncoder(slices=0), threading.Event()
    batching = batcher(encoder, ended)

    async def story() -> None:
        deadline = Deadline.after(60 if leaves else 0.1)
        task = asyncio.create_task(only(batching, Asked(), deadline))
        await asyncio.to_thread(encoder.begun.wait, 30)
        if leaves:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        encoder.let_on.release(100)
        await asyncio.to_thread(ended.wait, 30)

    asyncio.run(story())
    batching.close()
    assert encoder.seen == TEXTS[:SLICE_TEXTS]


@pytest.mark.parametrize(
    ("deadline", "abandoned", "message"),
    [
        (0.0, False, "The deadline passed while encoding; try again in a moment."),
        (60.0, True, "All callers of this batch have disconnected."),
    ],
)
def test_a_batch_that_is_over_says_why_nothing_was_encoded(
    *, deadline: float, abandoned: bool, message: str
) -> None:
    encoder = SlowEncoder(slices=100)
    scope = BatchScope(Deadline.after(deadline), abandoned=lambda: abandoned)
    token = RUNNING.set(scope)
    try:
        with pytest.raises(DeadlineExceededError) as raised:
            SlicedEncoder(encoder).encode(TEXTS)
    finally:
        RUNNING.reset(token)
    assert str(raised.value) == message
    assert encoder.seen == []
