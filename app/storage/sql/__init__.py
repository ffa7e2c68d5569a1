"""The SQL of the service: a file for each theme, a name and a description per query.

A query begins with `-- name: …`; the comment below it describes it. `{table}` and its
like are filled in by `psycopg2.sql`, `%(…)s` by the driver.
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
    """The queries of `<theme>.sql` by their names."""
    text = (FOLDER / f"{theme}.sql").read_text(encoding="utf-8")
    _, *parts = NAME.split(text)
    names, bodies = parts[::2], parts[1::2]
    return {
        name: SQL(DESCRIPTION.sub("", body).strip().removesuffix(";"))
        for name, body in zip(names, bodies, strict=True)
    }
