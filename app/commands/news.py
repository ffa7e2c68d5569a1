"""The options of `recommend_all.py` that tell whose best jobs are new."""

import argparse
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.commands.alerts import moment_of, new_jobs, write_csv
from app.commands.webhook import Webhook
from app.config import Settings
from app.deadline import Deadline
from app.errors import AppError, ConfigError
from app.query.numbers import counted
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.recommendations import RecommendationTable

LAST = "last"
TABLE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class News:
    """What is to be told after a run, and how. `is_of_last`: since the `last` run."""

    database: Database
    table: RecommendationTable
    since: datetime | None
    file: Path | None
    webhook: Webhook | None
    is_of_last: bool = False

    def tell(self) -> None:
        """Tell it, and print to how many users it is of interest.

        What is interrupted, or refused, stays untold: `last` reaches back to the last
        run that was told. Raises AppError, which says so.
        """
        if self.since is None:
            print("This is the first run: all jobs are new, and nobody is told.")
            return
        try:
            users = self._told(self.since)
        except AppError as error:
            raise AppError(
                f"{error} The recommendations are stored; to tell whose are new, run"
                " the same command again."
            ) from error
        print(
            f"{counted(users, 'users', 'have')} new jobs since"
            f" {self.since.isoformat()}."
        )

    def _told(self, since: datetime) -> int:
        """The number of users."""
        with self.database.snapshot(Deadline.after(TABLE_TIMEOUT_S)) as transaction:
            run = self.table.untold(transaction)
        alerts = new_jobs(self.database, self.table, since)
        if self.webhook is not None:
            users = self.webhook.send(alerts)
        elif self.file is not None:
            users = write_csv(self.file, alerts)
        else:
            users = sum(len({job.user_id for job in some}) for some in alerts)
        if self.is_of_last:
            with self.database.write(Deadline.after(TABLE_TIMEOUT_S)) as transaction:
                self.table.told(transaction, run)
        return users


def add_news_options(parser: argparse.ArgumentParser) -> None:
    """Add `--new-since`, `--alerts` and `--webhook`."""
    parser.add_argument(
        "--new-since",
        metavar="TIME",
        help="with --to-table: tell whose best jobs are new since this time, or since"
        " the `last` run",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--alerts", type=Path, metavar="FILE", help="write the new jobs to a CSV file"
    )
    where.add_argument(
        "--webhook", metavar="URL", help="send them, signed by ALERT_WEBHOOK_SECRET"
    )


def news_of(
    args: argparse.Namespace,
    settings: Settings,
    database: Database,
    catalogue: Catalogue,
) -> News | None:
    """What the options ask for. Call it before the run starts.

    Raises ConfigError for options that do not belong together.
    """
    if args.new_since is None:
        if args.alerts or args.webhook:
            raise ConfigError("--alerts and --webhook need --new-since.")
        return None
    if not args.to_table:
        raise ConfigError("--new-since needs --to-table, which knows earlier runs.")
    if args.alerts and args.alerts.is_dir():
        raise ConfigError("--alerts should be a file, not a folder.")
    secret = settings.alert_webhook_secret.get_secret_value()
    webhook = Webhook.of(args.webhook, secret) if args.webhook else None
    table = RecommendationTable(catalogue)
    if args.new_since != LAST:
        since = moment_of(args.new_since)
        return News(database, table, since, args.alerts, webhook)
    with database.snapshot(Deadline.after(TABLE_TIMEOUT_S)) as transaction:
        last = table.last_finish(transaction)
    return News(database, table, last, args.alerts, webhook, last is not None)
