"""Fills the vocabulary and the skill ids, with a line now and then."""

import time

from app.encoder import Encoder
from app.skills.backfill import SkillBackfill
from app.storage.database import Database

LINE_EVERY_S = 5.0


def fill_skills(database: Database, encoder: Encoder) -> int:
    """0 when every text is split and every skill embedded, 1 when some are left."""
    backfill = SkillBackfill(database, encoder)
    start = shown = time.monotonic()
    rows = skills = 0
    for page in backfill.run():
        rows += page.rows
        skills += page.skills
        if time.monotonic() - shown >= LINE_EVERY_S:
            shown = time.monotonic()
            print(f"{rows} texts split, {skills} new skills embedded", flush=True)
    left = backfill.remaining()
    print(
        f"{rows} texts split, {skills} new skills embedded in"
        f" {time.monotonic() - start:.1f} s; {left} left."
    )
    return 0 if left == 0 else 1
