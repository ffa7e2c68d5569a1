"""Render composed SQL without a connection, which would quote it."""

from itertools import count

from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal


def written(statement: Composable) -> tuple[str, list[object]]:
    """The statement with numbered parameters, and their literals."""
    literals: list[object] = []
    numbers = count(1)

    def write(part: Composable) -> str:
        if isinstance(part, Composed):
            return "".join(write(each) for each in part.seq)
        if isinstance(part, Literal):
            literals.append(part.wrapped)
            return f"${next(numbers)}"
        if isinstance(part, Identifier):
            return f'"{part.string}"'
        assert isinstance(part, SQL)
        return part.string

    return write(statement), literals
