"""Loads SQL: one file per topic, with a name and a description per query.

A query starts with `-- name: …`, and the comment below describes it. `psycopg2.sql`
fills in `{table}` and the like, the driver `%(…)s`.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from psycopg2.sql import SQL

FOLDER = Path(__file__).parent
NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
DESCRIPTION = re.compile(r"\A(?:--.*\n)+")


@cache
def load(theme: str) -> Mapping[str, SQL]:
    """The queries of `<topic>.sql` by name."""
    text = (FOLDER / f"{theme}.sql").read_text(encoding="utf-8")
    _, *parts = NAME.split(text)
    names, bodies = parts[::2], parts[1::2]
    return {
        name: SQL(DESCRIPTION.sub("", body).strip().removesuffix(";"))
        for name, body in zip(names, bodies, strict=True)
    }
