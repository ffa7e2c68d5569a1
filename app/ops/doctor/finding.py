"""What the doctor says: a problem in one sentence, and the command that fixes it."""

from dataclasses import dataclass

from app.errors import command_line

MIGRATE_COMMAND = command_line("migrate")
# Also what is recorded as applied, and a comparison of all rows with their states.
REPAIR_COMMAND = f"{MIGRATE_COMMAND} --again"
REPAIR_VECTORS = f"{MIGRATE_COMMAND} --with pgvector --again"
EMBED = command_line("embed")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: what, and the command that fixes it."""

    problem: str
    mend: str
