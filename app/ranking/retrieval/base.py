"""The one thing that a search backend does: the best jobs for each of some queries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.ids import Id
from app.query.query import Question
from app.query.result import Volume
from app.ranking.top_k.heap import Scored
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.jobs import Job


@dataclass(frozen=True)
class Found:
    """The best jobs of each query, highest score first, equal ones by id.

    `analyzed`: how many were compared. `inconclusive`: places of the shallow queries
    that need a deeper search; nothing else is known of them. `jobs`: texts of the
    ranked jobs, as far as they came along.
    """

    ranked: Sequence[Sequence[Scored]]
    analyzed: int
    volume: Volume
    inconclusive: Collection[int] = ()
    jobs: Mapping[Id, Job] = field(default_factory=dict)


class Search(Protocol):
    """A backend. All of them give the same answers."""

    def best(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        questions: Sequence[Question],
        queries: NDArray[np.float32],
        scope: BatchScope,
        *,
        shows: bool = False,
    ) -> Found:
        """The answer to each question, `queries` (q, 384) float32 being their vectors.

        The questions have one `batch_key`. `shows`: with `jobs`, where these can come
        along; the transaction may be committed then, if no others are missing. Raises
        AbandonedError once nobody waits.
        """
        ...
