"""Build the encoder and the work of the commands that embed."""

import threading
from collections.abc import Callable, Sequence

from app.backfill import Backfill
from app.backfill.vectors import VectorFilling
from app.backfill.vocabulary import VocabularyKeeper
from app.backfill.watch import Work
from app.backfill.worker import LEASE_S, PATIENCE_S, SLICE_ROWS
from app.config import ScriptSettings
from app.encoder.lazy import LazyEncoder
from app.encoder.passages import PassageEncoder, PromptedEncoder
from app.storage.connection.database import Database
from app.storage.entity import ENTITIES, EntityName


def build_encoder(
    settings: ScriptSettings, version: str, kind: str, *, device: str | None
) -> PromptedEncoder:
    """`kind` and `device`: as the options `--encoder` and `--device`.

    Raises ModelUnavailableError for files that do not match.
    """
    folder = settings.folder_of(version)
    if kind == "numpy":
        return LazyEncoder(folder, version)
    # Imported on demand: it needs torch, which small hosts do not have.
    from app.encoder.reference import ReferenceEncoder  # noqa: PLC0415

    return ReferenceEncoder(folder, device=device, name=version)


def encoders_of(settings: ScriptSettings) -> Callable[[str], LazyEncoder]:
    """Makes the encoder of a model, which loads its files when it first encodes."""
    return lambda version: LazyEncoder(settings.folder_of(version), version)


def slice_rows(kind: str, batch_size: int) -> int:
    """Texts encoded at once: sentence-transformers sorts them by length, and more are
    faster.
    """
    return batch_size if kind == "sentence-transformers" else SLICE_ROWS


def build_work(
    database: Database,
    encoder: PromptedEncoder,
    *,
    batch_size: int,
    slice_rows: int,
    stop: threading.Event,
    entities: Sequence[EntityName] = ENTITIES,
    lease_s: float = LEASE_S,
    stays_up: bool = False,
) -> Work:
    """What waits in these tables, for the model of `encoder`."""
    vocabulary = VocabularyKeeper(
        database, encoder, stays_up=stays_up, patience_s=PATIENCE_S, stop=stop
    )
    backfills = [
        Backfill(
            database,
            PassageEncoder(encoder) if entity == "jobs" else encoder,
            vocabulary=vocabulary,
            entity=entity,
            batch_size=batch_size,
            slice_rows=slice_rows,
            lease_s=lease_s,
            stop=stop,
        )
        for entity in entities
    ]
    vectors = VectorFilling(database, version=encoder.version, stop=stop)
    return Work(backfills, vocabulary, vectors if "jobs" in entities else None)
