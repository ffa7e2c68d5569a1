"""The models that have embedded rows, the one in use, and the switch to another one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.query.ids import Id
from app.storage.codec import from_bytes
from app.storage.connection.transaction import Transaction
from app.storage.entity import (
    EMBEDDINGS,
    UNNAMED_VERSION,
    EntityTable,
    vector_table,
)
from app.storage.shards import check_model
from app.storage.skills import embedded_skills
from app.storage.sql import load

QUERIES = load("models")

# A table with a column `embedding` of the guide's model, and its key.
Place = tuple[Identifier, str]
OWN_COLUMNS_OF_GUIDE: Sequence[Place] = (
    (Identifier("recommender", "user_state"), "user_id"),
    (Identifier("recommender", "skill"), "skill_id"),
)
# Tables with the embeddings of other models.
OTHER_EMBEDDINGS = (*EMBEDDINGS.values(), "skill_embedding")


def model_in_use(transaction: Transaction) -> str | None:
    """The model by which every process answers; None before one has begun."""
    version: str | None = transaction.rows(QUERIES["model_in_use"])[0][0]
    return version


def use_model(transaction: Transaction, version: str, dimension: int) -> None:
    """Begin with this model, unless another one has begun.

    Raises ConfigError if its embeddings here have another dimension, or if jobs lie on
    shards, which cannot hold them.
    """
    check_model(transaction, version)
    _call(transaction, "use_model", version=version, dimension=dimension)


def add_model(transaction: Transaction, version: str, dimension: int) -> None:
    """Let a model embed rows beside the one in use. Raises as `use_model`."""
    _call(transaction, "add_model", version=version, dimension=dimension)


def switch_model(transaction: Transaction, version: str) -> None:
    """From the end of the transaction on, every process answers by this model."""
    _call(transaction, "switch_model", version=version)


def compare_states(transaction: Transaction) -> None:
    """Record again which rows the model in use has embedded: what somebody wrote while
    the model was switched.
    """
    _call(transaction, "compare_states")


def some_users(transaction: Transaction, users: EntityTable, *, limit: int) -> list[Id]:
    """Some embedded users, the same ones each time. Reads the narrow table."""
    query = users.format(QUERIES["some_users"])
    return [id_ for (id_,) in transaction.rows(query, {"limit": limit})]


def some_skill_vectors(
    transaction: Transaction, version: str, *, limit: int
) -> Sequence[NDArray[np.float32]]:
    """The embeddings of some skills by this model, the same ones each time."""
    query = QUERIES["some_skills"].format(**embedded_skills(version))
    rows = transaction.rows(query, {"limit": limit})
    return [from_bytes(bytes(embedding)) for (embedding,) in rows]


def some_text_vectors(
    transaction: Transaction, table: EntityTable, version: str, *, limit: int
) -> Sequence[NDArray[np.float32]]:
    """The embeddings of some rows by this model, of the same ones each time."""
    query = table.format(QUERIES["some_texts"], version=version)
    rows = transaction.rows(query, {"limit": limit})
    return [from_bytes(bytes(embedding)) for (embedding,) in rows]


def calibration_of(transaction: Transaction, version: str) -> str | None:
    """What `calibrate` stored, if anything."""
    rows = transaction.rows(QUERIES["calibration"], {"version": version})
    found: str | None = rows[0][0] if rows else None
    return found


def calibrate(transaction: Transaction, version: str, calibration: str) -> None:
    """Store what a model's similarities and scores are worth, as JSON."""
    _call(transaction, "calibrate", version=version, calibration=calibration)


def embedding_bytes(transaction: Transaction) -> int:
    """Bytes on disk of all tables that hold embeddings."""
    size: int = transaction.rows(QUERIES["bytes"].format())[0][0]
    return size


def drop_rows(transaction: Transaction, relation: str, *, limit: int) -> int:
    """Delete some rows of models that are not in use: how many."""
    query = QUERIES["drop_rows"].format(relation=Identifier(relation))
    return transaction.execute(query, {"limit": limit})


def drop_columns(
    transaction: Transaction,
    place: Place,
    *,
    after: str | None,
    limit: int,
) -> Sequence[str]:
    """Empty some columns of the guide's model, if another one is in use.

    Returns their keys, as text, in order.
    """
    relation, key = place
    beyond: Composable = SQL("true")
    if after is not None:
        beyond = SQL("{} > {}").format(Identifier(key), Literal(after))
    query = QUERIES["drop_columns"].format(
        relation=relation,
        key=Identifier(key),
        after=beyond,
        guide=Literal(UNNAMED_VERSION),
    )
    return [id_ for (id_,) in transaction.rows(query, {"limit": limit})]


def running_transactions(transaction: Transaction) -> set[str]:
    """What runs on this server now, but this transaction."""
    return {name for (name,) in transaction.rows(QUERIES["running"])}


def drop_vectors(transaction: Transaction) -> None:
    """Drop the tables of vectors for pgvector by models that are not in use."""
    in_use = model_in_use(transaction) or UNNAMED_VERSION
    _call(transaction, "drop_vectors", kept=vector_table(in_use))


def drop_models(transaction: Transaction) -> None:
    """Forget models that are not in use."""
    _call(transaction, "drop_models")


def _call(transaction: Transaction, query: str, **parameters: object) -> None:
    transaction.execute(QUERIES[query], parameters)
