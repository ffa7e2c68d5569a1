"""Export and erase what is stored about one user: events, which jobs were shown, and
what `recommend_all` stored.

--export writes all of it as JSON, newest first, to a file, or with `-` to the standard
output. --erase deletes them; the user's row may be deleted already. With both, what is
exported is exactly what is erased, and nothing is erased if the file cannot be written.

Exit status: 0 when done, 1 for an error.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from app.config import ScriptSettings, read_settings
from app.deadline import Deadline
from app.errors import AppError
from app.query.exposure import StoredExposure
from app.query.feedback import StoredFeedback
from app.query.ids import Id
from app.query.numbers import counted
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.connection.transaction import Transaction
from app.storage.exposures import erase_exposures, exposures_of
from app.storage.feedback import erase_feedback, feedback_of
from app.storage.recommendations import RecommendationTable

FEEDBACK_TIMEOUT_S = 60.0
STANDARD_OUTPUT = Path("-")


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        dsn = primary(read_settings(ScriptSettings).database_url.get_secret_value())
        with closing(Database(dsn, pool_size=1)) as database:
            stored = _run(args, database)
    except (AppError, OSError) as error:
        print(f"feedback: {error}", file=sys.stderr)
        return 1
    done = [name for name in ("exported", "erased") if getattr(args, name)]
    what = (
        f"{counted(len(stored.events), 'events')}, "
        f"{counted(len(stored.exposures), 'answers')} and"
        f" {counted(len(stored.recommended), 'stored recommendations')}"
    )
    print(f"{what} {' and '.join(done)}.", file=sys.stderr)
    return 0


@dataclass(frozen=True)
class _Stored:
    """What is stored about a user. `recommended`: as `RecommendationTable.known`."""

    events: Sequence[StoredFeedback]
    exposures: Sequence[StoredExposure]
    recommended: Sequence[tuple[Id, Id, datetime]]

    def to_json(self) -> str:
        rows = {
            "feedback": [asdict(event) for event in self.events],
            "exposures": [asdict(exposure) for exposure in self.exposures],
            "recommendations": [
                {"job_id": job, "since": since} for _, job, since in self.recommended
            ],
        }
        text = json.dumps(rows, indent=2, ensure_ascii=False, default=_isoformat)
        return f"{text}\n"


def _isoformat(value: object) -> str:
    assert isinstance(value, datetime)  # noqa: S101  (all else is JSON)
    return value.isoformat()


def _run(args: argparse.Namespace, database: Database) -> _Stored:
    """Export, erase or both. Returns what it was."""
    deadline = Deadline.after(FEEDBACK_TIMEOUT_S)
    transact = database.write if args.erased else database.snapshot
    with transact(deadline) as transaction:
        read = _erase if args.erased else _read
        stored = read(transaction, args.user_id)
        if args.exported:
            # Before the commit: a full disk must not lose what is erased.
            _export(stored.to_json(), args.exported)
    return stored


def _read(transaction: Transaction, user_id: Id) -> _Stored:
    exposures = exposures_of(transaction, user_id)
    recommended = _table(transaction).known(transaction, _ids(transaction, user_id))
    is_known = bool(exposures or recommended)
    events = feedback_of(transaction, user_id, is_known_otherwise=is_known)
    return _Stored(events, exposures, recommended)


def _erase(transaction: Transaction, user_id: Id) -> _Stored:
    return _Stored(
        erase_feedback(transaction, user_id),
        erase_exposures(transaction, user_id),
        _table(transaction).erase(transaction, _ids(transaction, user_id)),
    )


def _table(transaction: Transaction) -> RecommendationTable:
    return RecommendationTable(Catalogue.read(transaction))


def _ids(transaction: Transaction, user_id: Id) -> list[Id]:
    """The id in its column's type."""
    parsed = Catalogue.read(transaction).user_id.parse(user_id)
    return [] if parsed is None else [parsed]


def _export(text: str, target: Path) -> None:
    if target == STANDARD_OUTPUT:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        target.write_text(text, encoding="utf-8")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("user_id", help="the user's id in the table of users")
    parser.add_argument("--export", dest="exported", type=Path, metavar="FILE")
    parser.add_argument("--erase", dest="erased", action="store_true")
    args = parser.parse_args(argv)
    if not (args.exported or args.erased):
        parser.error("choose --export FILE, --erase, or both")
    return args


if __name__ == "__main__":
    sys.exit(main())
