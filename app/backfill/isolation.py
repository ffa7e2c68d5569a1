"""Encodes rows such that one that cannot be encoded stops none of the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.errors import AppError
from app.storage.claims import TextRow

# A row that fails alone gets another chance: memory may have been short for a moment.
TRIES_ALONE = 2


@dataclass(frozen=True)
class RowFailure:
    """A row that goes into quarantine, and the sentence that says why."""

    row: TextRow
    reason: str


@dataclass
class Encoded:
    """Rows with their embeddings, and rows that have none."""

    rows: list[TextRow] = field(default_factory=list)
    # (dimension,) each; None for a row that has its embedding already.
    embeddings: list[NDArray[np.float32] | None] = field(default_factory=list)
    refusals: list[RowFailure] = field(default_factory=list)

    def __iadd__(self, other: "Encoded") -> "Encoded":
        self.rows += other.rows
        self.embeddings += other.embeddings
        self.refusals += other.refusals
        return self


def encode_rows(encoder: Encoder, rows: Sequence[TextRow]) -> Encoded:
    """Encode the rows together or, when that fails, each by itself.

    Raises errors of ours: a model that is absent is no fault of a row.
    """
    try:
        return Encoded(list(rows), [*_encode(encoder, rows)])
    except AppError:
        raise
    except Exception:  # noqa: BLE001  (a row may be the cause of any error)
        encoded = Encoded()
        for row in rows:
            encoded += _encode_alone(encoder, row)
        return encoded


def _encode_alone(encoder: Encoder, row: TextRow) -> Encoded:
    reason = ""
    for _ in range(TRIES_ALONE):
        try:
            return Encoded([row], [*_encode(encoder, [row])])
        except AppError:
            raise
        except Exception as error:  # noqa: BLE001  (as above)
            # The class alone: a message may quote the text.
            reason = f"The encoder failed with {type(error).__name__}."
    return Encoded(refusals=[RowFailure(row, reason)])


def _encode(encoder: Encoder, rows: Sequence[TextRow]) -> list[NDArray[np.float32]]:
    embeddings = encoder.encode([row.skills for row in rows])
    if embeddings.shape != (len(rows), encoder.dimension):
        raise ValueError(f"{len(rows)} texts gave an array {embeddings.shape}")
    if not np.isfinite(embeddings).all():
        raise FloatingPointError("an embedding is not finite")
    return list(embeddings)
