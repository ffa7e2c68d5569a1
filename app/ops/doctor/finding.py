"""What the doctor says: a problem in one sentence, and the command that fixes it."""

from dataclasses import dataclass

MIGRATE_COMMAND = "python scripts/migrate.py"
# Also what is recorded as applied, and a comparison of all rows with their states.
REPAIR_COMMAND = "python scripts/migrate.py --again"
REPAIR_VECTORS = "python scripts/migrate.py --with pgvector --again"
EMBED = "python scripts/generate_embeddings.py"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: what, and the command that fixes it."""

    problem: str
    mend: str
