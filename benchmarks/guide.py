"""The guide's three designs, written anew, to be measured beside the project.

GUIDE_DESIGN is `fetch_all` (read every embedding for each request), `batches` (the
same by LIMIT and OFFSET) or `ram` (all embeddings cached in the process). As in the
guide: SentenceTransformer, scikit-learn, one connection a request, a blocking route.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sklearn.metrics.pairwise import cosine_similarity

from app.encoder.reference import ReferenceEncoder

DESIGN = os.environ["GUIDE_DESIGN"]
DATABASE_URL = os.environ["DATABASE_URL"]
MODEL_DIR = Path(os.environ["MODEL_DIR"])
BATCH_SIZE = 1000

EMBEDDINGS = "SELECT job_id, embedding FROM skill_job1 WHERE embedding IS NOT NULL"

app = FastAPI()
model: ReferenceEncoder | None = None
cache: tuple[list[Any], np.ndarray] | None = None


class Asked(BaseModel):
    """The guide's request."""

    user_id: int
    top_n: int = 10


def get_model() -> ReferenceEncoder:
    """Load the model at the first request."""
    global model  # noqa: PLW0603  (as the guide does)
    if model is None:
        model = ReferenceEncoder(MODEL_DIR)
    return model


@app.get("/healthz")
async def alive() -> dict[str, bool]:
    """Not in the guide: the benchmark waits for it."""
    return {"success": True}


@app.post("/api/recommend")
async def recommend(asked: Asked) -> dict[str, Any]:
    """The guide's request handler."""
    connection = psycopg2.connect(DATABASE_URL)
    try:
        with connection.cursor() as cursor:
            query = np.asarray(get_model().encode([_skills(cursor, asked.user_id)]))
            ranked, count = DESIGNS[DESIGN](cursor, query, asked.top_n)
    finally:
        connection.close()
    return {
        "success": True,
        "recommendations": [
            {"job_id": job_id, "similarity_score": float(score)}
            for job_id, score in ranked
        ],
        "total_jobs_analyzed": count,
    }


def _skills(cursor: Any, user_id: int) -> str:
    cursor.execute("SELECT skills FROM users WHERE user_id = %s", (user_id,))
    row = cursor.fetchone()
    if row is None:
        raise HTTPException(404, "User not found")
    skills: str = row[0]
    return skills


def _fetch_all(
    cursor: Any, query: np.ndarray, top_n: int
) -> tuple[list[tuple[Any, float]], int]:
    return _best(query, *_read_all(cursor), top_n)


def _ram(
    cursor: Any, query: np.ndarray, top_n: int
) -> tuple[list[tuple[Any, float]], int]:
    global cache  # noqa: PLW0603  (as the guide's first design did)
    if cache is None:
        cache = _read_all(cursor)
    return _best(query, *cache, top_n)


def _batches(
    cursor: Any, query: np.ndarray, top_n: int
) -> tuple[list[tuple[Any, float]], int]:
    cursor.execute("SELECT count(*) FROM skill_job1 WHERE embedding IS NOT NULL")
    total = cursor.fetchone()[0]
    found: list[tuple[Any, float]] = []
    for offset in range(0, total, BATCH_SIZE):
        cursor.execute(f"{EMBEDDINGS} LIMIT %s OFFSET %s", (BATCH_SIZE, offset))
        ids, embeddings = _decoded(cursor)
        similarities = cosine_similarity(query, embeddings)[0]
        found += zip(ids, map(float, similarities), strict=True)
    found.sort(key=lambda job: job[1], reverse=True)
    return found[:top_n], total


def _read_all(cursor: Any) -> tuple[list[Any], np.ndarray]:
    cursor.execute(EMBEDDINGS)
    return _decoded(cursor)


def _decoded(cursor: Any) -> tuple[list[Any], np.ndarray]:
    ids, embeddings = [], []
    for job_id, embedding in cursor.fetchall():
        ids.append(job_id)
        embeddings.append(np.frombuffer(embedding, dtype=np.float32))
    return ids, np.array(embeddings)


def _best(
    query: np.ndarray, ids: list[Any], embeddings: np.ndarray, top_n: int
) -> tuple[list[tuple[Any, float]], int]:
    similarities = cosine_similarity(query, embeddings)[0]
    order = similarities.argsort()[-top_n:][::-1]
    return [(ids[i], float(similarities[i])) for i in order], len(ids)


DESIGNS = {"fetch_all": _fetch_all, "batches": _batches, "ram": _ram}
