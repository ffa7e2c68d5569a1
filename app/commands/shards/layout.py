"""Which servers are to hold the jobs, and which partition lies on which."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.config import read_environment
from app.errors import ConfigError
from app.storage.connection.dsn import check_dsn
from app.storage.shards import PlacedPart

DEFAULT_PARTITIONS = 16
MAX_PARTITIONS = 1024
SHARD_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
BOUND_VALUE = re.compile(r"FOR VALUES IN \((.*)\)", re.DOTALL)


@dataclass(frozen=True)
class ShardServer:
    """A server for a part of the jobs. `values`: of the layout's column, if it has one.

    `dsn`: how the coordinator reaches it, and this program.
    """

    name: str
    dsn: str
    values: Sequence[str] = ()


@dataclass(frozen=True)
class ShardLayout:
    """The servers. `column`: None for partitions by a hash of job_id, `partitions` of
    them if the file says how many; otherwise one partition for each value, and one for
    all other rows.
    """

    servers: Sequence[ShardServer]
    column: str | None = None
    partitions: int | None = None

    @property
    def partition_count(self) -> int:
        """How many a table has that is laid out now."""
        if self.column is None:
            return self.partitions or DEFAULT_PARTITIONS
        return 1 + sum(len(server.values) for server in self.servers)


def read_layout(path: Path) -> ShardLayout:
    """Read a TOML file. Raises ConfigError that names the entry and the fix."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    if unknown := content.keys() - {"servers", "column", "partitions"}:
        raise ConfigError(f"{path}: remove {min(unknown)}, which is not known.")
    column, partitions = content.get("column"), content.get("partitions")
    if column is not None and (not isinstance(column, str) or partitions):
        raise ConfigError(f"{path}: column names one column, and needs no partitions.")
    if partitions is not None and (
        type(partitions) is not int or not 1 <= partitions <= MAX_PARTITIONS
    ):
        raise ConfigError(f"{path}: partitions is a number from 1 to {MAX_PARTITIONS}.")
    servers = content.get("servers", {})
    if not isinstance(servers, dict):
        raise ConfigError(f"{path}: write each server as [servers.NAME].")
    found = [_server(path, name, entry, column) for name, entry in servers.items()]
    layout = ShardLayout(found, column, partitions)
    check_values(layout)
    return layout


def check_values(layout: ShardLayout) -> None:
    """Raise ConfigError if a value is listed twice."""
    values = Counter(value for server in layout.servers for value in server.values)
    if doubled := [value for value, count in values.items() if count > 1]:
        raise ConfigError(
            f"The value {doubled[0]} of {layout.column} is listed twice; leave it with"
            " one server."
        )


def _server(path: Path, name: str, entry: Any, column: str | None) -> ShardServer:
    where = f"{path}: [servers.{name}]"
    if not SHARD_NAME.fullmatch(name):
        raise ConfigError(f"{where}: a name has small letters, digits and _ only.")
    if not isinstance(entry, dict) or entry.keys() - {"url", "values"}:
        raise ConfigError(f"{where} may have url and values only.")
    url, values = entry.get("url"), entry.get("values", [])
    if not isinstance(url, str) or not url:
        raise ConfigError(f"{where}: url is a connection string, or $VARIABLE.")
    if url.startswith("$") and not (url := read_environment().get(url[1:], "")):
        raise ConfigError(f"{where}: the variable {entry['url'][1:]} is not set.")
    try:
        check_dsn(url)
    except ConfigError as error:
        raise ConfigError(
            f"{where}: {str(error).partition('DATABASE_URL: ')[2]}"
        ) from error
    if not isinstance(values, list) or bool(values) != (column is not None):
        raise ConfigError(
            f"{where}: values belong to a layout with column, a list for each server."
        )
    if any("\0" in str(value) for value in values):
        raise ConfigError(f"{where}: a value holds the character 0; remove it.")
    return ShardServer(name, url, tuple(str(value) for value in values))


def value_of(part: PlacedPart) -> str | None:
    """The column's value in a layout by values, as Postgres writes it; None for the
    other rows.
    """
    found = BOUND_VALUE.fullmatch(part.bound)
    if found is None:
        return None
    return found[1][1:-1].replace("''", "'") if found[1][:1] == "'" else found[1]


def placement(
    parts: Sequence[PlacedPart], layout: ShardLayout
) -> Mapping[str, str | None]:
    """The server of each partition by its name, with as few moves as possible.

    By hash the servers get equal numbers of partitions. The coordinator keeps all where
    there is no server, and the values that no server lists.
    """
    if layout.column is not None:
        of_value: dict[str | None, str] = {
            value: server.name for server in layout.servers for value in server.values
        }
        return {part.name: of_value.get(value_of(part)) for part in parts}
    names = [server.name for server in layout.servers]
    if not names:
        return dict.fromkeys((part.name for part in parts), None)
    least, more = divmod(len(parts), len(names))
    # Who has most keeps most: the servers that may hold one more.
    held = Counter(part.shard for part in parts if part.shard in names)
    order = sorted(names, key=lambda name: -held[name])
    room = {name: least + (n < more) for n, name in enumerate(order)}
    placed: dict[str, str | None] = {}
    for part in parts:
        if part.shard is not None and room.get(part.shard, 0) > 0:
            placed[part.name] = part.shard
            room[part.shard] -= 1
    for part in parts:
        if part.name not in placed:
            emptiest = max(order, key=lambda name: room[name])
            placed[part.name] = emptiest
            room[emptiest] -= 1
    return placed
