"""The options of `recommend_all.py` that tell whose best jobs are new."""

import argparse
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.commands.alerts import Webhook, moment_of, new_jobs, write_csv
from app.config import Settings
from app.deadline import Deadline
from app.errors import AppError, ConfigError
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.recommendations import RecommendationTable

LAST = "last"


@dataclass(frozen=True)
class News:
    """What is to be told after a run, and how."""

    database: Database
    table: RecommendationTable
    since: datetime | None
    file: Path | None
    webhook: Webhook | None

    def tell(self) -> None:
        """Tell it, and print to how many users it is of interest.

        Raises AppError, which says how to tell it again.
        """
        if self.since is None:
            print("This is the first run: all jobs are new, and nobody is told.")
            return
        alerts = new_jobs(self.database, self.table, self.since)
        try:
            if self.webhook is not None:
                users = self.webhook.send(alerts)
            elif self.file is not None:
                users = write_csv(self.file, alerts)
            else:
                users = sum(len({job.user_id for job in some}) for some in alerts)
        except (AppError, OSError) as error:
            raise AppError(
                f"{error} The recommendations are stored; to tell whose are new, run"
                f" the command again with --new-since {self.since.isoformat()}."
            ) from error
        print(f"{users} users have new jobs since {self.since.isoformat()}.")


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
    secret = settings.alert_webhook_secret.get_secret_value()
    webhook = Webhook.of(args.webhook, secret) if args.webhook else None
    table = RecommendationTable(catalogue)
    if args.new_since != LAST:
        since: datetime | None = moment_of(args.new_since)
    else:
        with database.snapshot(Deadline.after(60)) as transaction:
            since = table.last_finish(transaction)
    return News(database, table, since, args.alerts, webhook)
