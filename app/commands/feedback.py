"""Export and erase the feedback of one user: all events that are stored about them.

--export writes them as JSON, newest first, to a file, or with `-` to the standard
output. --erase deletes them; the user's row may be deleted already. With both, what is
exported is exactly what is erased, and nothing is erased if the file cannot be written.

Exit status: 0 when done, 1 for an error.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from app.config import ScriptSettings, read_settings
from app.deadline import Deadline
from app.errors import AppError
from app.query.feedback import StoredFeedback
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.feedback import erase_feedback, feedback_of

FEEDBACK_TIMEOUT_S = 60.0
STANDARD_OUTPUT = Path("-")


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        dsn = primary(read_settings(ScriptSettings).database_url.get_secret_value())
        with closing(Database(dsn, pool_size=1)) as database:
            count = _run(args, database)
    except (AppError, OSError) as error:
        print(f"feedback: {error}", file=sys.stderr)
        return 1
    done = [name for name in ("exported", "erased") if getattr(args, name)]
    print(f"{count} events {' and '.join(done)}.", file=sys.stderr)
    return 0


def _run(args: argparse.Namespace, database: Database) -> int:
    """Export, erase or both. Returns the number of events."""
    deadline = Deadline.after(FEEDBACK_TIMEOUT_S)
    transact = database.write if args.erased else database.snapshot
    with transact(deadline) as transaction:
        work = erase_feedback if args.erased else feedback_of
        events = work(transaction, args.user_id)
        if args.exported:
            # Before the commit: a full disk must not lose what is erased.
            _export(events, args.exported)
    return len(events)


def _export(events: Sequence[StoredFeedback], target: Path) -> None:
    rows = [
        {"job_id": event.job_id, "event": event.event, "at": event.at.isoformat()}
        for event in events
    ]
    text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
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
