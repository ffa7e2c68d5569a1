"""Fills the vocabulary and the skill ids, with a line now and then."""

import time

from app.backfill.skills import SkillBackfill, SkillProgress

LINE_EVERY_S = 5.0
# Rows that were edited or locked meanwhile are looked for again so often.
MOST_RUNS = 3


def fill_skills(backfill: SkillBackfill, *, limit: int | None = None) -> None:
    """Split what waits, and say how much it was."""
    start = shown = time.monotonic()
    rows = skills = 0
    for _ in range(MOST_RUNS if limit is None else 1):
        changed = 0
        for page in backfill.run(limit=limit):
            rows += page.rows
            skills += page.skills
            changed += page.changed
            if time.monotonic() - shown >= LINE_EVERY_S:
                shown = time.monotonic()
                print(f"{rows} texts split, {skills} new skills embedded", flush=True)
        if not changed:
            break
    print(
        f"{rows} texts split, {skills} new skills embedded in"
        f" {time.monotonic() - start:.1f} s.",
        flush=True,
    )


def watched(done: SkillProgress) -> str:
    """The line of `--watch` about one page."""
    return (
        f"{done.rows} split, {done.skills} new skills embedded,"
        f" {done.changed} changed meanwhile"
    )
