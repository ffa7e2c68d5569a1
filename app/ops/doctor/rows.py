"""The rows: pending ones, and random ones whose texts are embedded again to compare."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.encoder import Encoder
from app.ops.doctor.finding import EMBED, REPAIR_COMMAND, Finding
from app.query.numbers import counted
from app.ranking.skills.parse import SPLIT_VERSION
from app.ranking.skills.splitting import split_texts
from app.storage import samples
from app.storage.codec import from_bytes
from app.storage.connection.transaction import Transaction
from app.storage.coverage import Coverage
from app.storage.entity import EntityName, EntityTable
from app.storage.exposures import oldest_exposure_days
from app.storage.resplit import any_due, split_state
from app.storage.samples import SampledRow, Sampler

# Enough to notice with 0.9 what went wrong with one row in nine.
COMPARED_ROWS = 20
# Another processor or library differs by 1e-6, half precision by 1e-4; another text of
# the same job by more than 1e-2.
LEAST_EQUAL_COSINE = 0.999

# Of a service that stores no more of them: time enough to read the report.
UNLOGGED_DAYS = 30

FORGET = "DELETE FROM recommender.exposure WHERE"

# What is stored is used until another one takes its place.
MAKE_AGAIN: Mapping[EntityName, str] = {
    "jobs": "UPDATE recommender.job_state SET state = 'pending'"
    " WHERE state = 'embedded';",
    "users": "UPDATE recommender.user_state SET state = 'pending'"
    " WHERE state = 'embedded';",
}


def coverage_findings(rows: EntityName, found: Coverage) -> Iterator[Finding]:
    """Rows that wait, by their reason."""
    reasons = {
        "no embedding": found.pending,
        "an embedding of another model": found.stale,
        "an embedding of a wrong length": found.malformed,
    }
    for reason, count in reasons.items():
        if count:
            yield Finding(
                f"{counted(count, rows, 'have')} {reason}.", f"{EMBED} --what={rows}"
            )
    if found.quarantined:
        yield Finding(
            f"{counted(found.quarantined, rows)} could not be embedded;"
            f" `{EMBED} --failures` says why.",
            f"{EMBED} --retry-failures --what={rows}",
        )


def record_findings(transaction: Transaction, table: EntityTable) -> Iterator[Finding]:
    """Rows without a state, states without a row, and ids that two rows have."""
    sampler = Sampler(transaction, table)
    if ids := sampler.without_state():
        yield Finding(
            f"Some {table.name} have no state: {table.key} {_some(ids)}.",
            REPAIR_COMMAND,
        )
    if not sampler.can_look_up:
        return
    if ids := sampler.without_row():
        yield Finding(
            f"Some {table.name} have a state and no row: {table.key} {_some(ids)}.",
            REPAIR_COMMAND,
        )
    if ids := sampler.doubled():
        name = sampler.table_name
        yield Finding(
            f"More than one row of {name} has the {table.key} {_some(ids)}: these are"
            " left out of all answers.",
            f"Give each row an id of its own, then CREATE UNIQUE INDEX CONCURRENTLY ON"
            f" {name} ({table.key});",
        )


def exposure_age_findings(transaction: Transaction, days: int) -> Iterator[Finding]:
    """Shown jobs that are kept for longer than EXPOSURE_DAYS. A running service
    deletes them once a day; without that setting none does.
    """
    kept, age = days or UNLOGGED_DAYS, oldest_exposure_days(transaction)
    if age is not None and age > kept + 2:
        yield Finding(
            f"Shown jobs have been stored for {age:.0f} days, and EXPOSURE_DAYS is"
            f" {days}.",
            f"{FORGET} at < now() - interval '{kept} days';",
        )


@dataclass(frozen=True)
class RandomRows:
    """Some rows that count as embedded, and the skills that their ids name.

    `is_split_due`: whether the next backfill splits rows again.
    """

    rows: Sequence[SampledRow]
    skills: Mapping[int, str]
    # The keys of the skills that each text lists, as the database can hold them.
    listed: Sequence[Sequence[str]]
    is_split_due: bool

    @classmethod
    def read(
        cls, transaction: Transaction, table: EntityTable, *, version: str
    ) -> "RandomRows":
        """None of a large table without an index on its ids."""
        sampler = Sampler(transaction, table)
        rows = (
            sampler.embedded(COMPARED_ROWS, version=version)
            if sampler.can_look_up
            else []
        )
        # An id of two rows has a finding of its own.
        seen = Counter(row.id for row in rows)
        rows = [row for row in rows if seen[row.id] == 1]
        ids = [n for row in rows for n in row.skill_ids or ()]
        texts, titles = [row.text for row in rows], [row.title for row in rows]
        return cls(
            rows,
            samples.skills_by_id(transaction, ids),
            [
                [transaction.held(skill.key) for skill in skills]
                for skills in split_texts(transaction, texts, titles=titles)
            ],
            split_state(transaction).version < SPLIT_VERSION
            or any_due(transaction, table.name, SPLIT_VERSION),
        )

    def findings(self, table: EntityTable, encoder: Encoder) -> Iterator[Finding]:
        """Embeds and splits them again, outside of any transaction, and compares."""
        if ids := _embedded_otherwise(self.rows, encoder):
            yield Finding(
                f"{len(ids)} of {len(self.rows)} random {table.name} have an embedding"
                f" that is not of their text: {table.key} {_some(ids)}.",
                MAKE_AGAIN[table.name],
            )
        if ids := self._split_otherwise():
            yield Finding(
                f"{len(ids)} of {len(self.rows)} random {table.name} have skills that"
                f" are not of their text: {table.key} {_some(ids)}.",
                EMBED if self.is_split_due else MAKE_AGAIN[table.name],
            )

    def _split_otherwise(self) -> list[str]:
        """Ids of rows whose skill ids name other skills than their text lists."""
        return [
            row.id
            for row, listed in zip(self.rows, self.listed, strict=True)
            if row.skill_ids is not None
            and [self.skills.get(n) for n in row.skill_ids] != listed
        ]


def _embedded_otherwise(rows: Sequence[SampledRow], encoder: Encoder) -> list[str]:
    """Ids of rows whose embedding is another one than that of their text."""
    wrong = [row.id for row in rows if len(row.embedding) != 4 * encoder.dimension]
    rest = [row for row in rows if row.id not in wrong and row.text.strip()]
    if not rest:
        return wrong
    stored = np.array([from_bytes(row.embedding) for row in rest], np.float64)
    made = np.asarray(encoder.encode([row.text for row in rest]), np.float64)
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(stored, axis=1) * np.linalg.norm(made, axis=1)
        cosines = np.einsum("ij,ij->i", stored, made) / norms
    # Written so that NaN, of an embedding that points nowhere, is another one.
    return wrong + [
        row.id
        for row, cosine in zip(rest, cosines, strict=True)
        if not cosine >= LEAST_EQUAL_COSINE
    ]


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5])
