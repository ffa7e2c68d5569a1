"""The export of embeddings that docs/scale.md names."""

import re

import numpy as np

from app.storage.codec import from_bytes
from tests.support.bulk import fill_jobs
from tests.support.postgres import run
from tests.support.rows import add_pending_jobs
from tests.support.service import ROOT


def test_the_named_statement_exports_every_embedding(database_url: str) -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    (statement,) = re.findall(r"\\copy \((SELECT .+)\) TO", page)
    fill_jobs(database_url, 5)
    run(database_url, "UPDATE skill_job1 SET job_id = job_id + 10")
    add_pending_jobs(database_url, ["python"])
    exported = dict(run(database_url, statement))
    stored = run(
        database_url,
        "SELECT job_id, embedding FROM skill_job1 WHERE embedding IS NOT NULL",
    )
    assert exported.keys() == {11, 12, 13, 14, 15}
    for job, data in stored:
        vector = np.frombuffer(bytes.fromhex(exported[job]), "<f4")
        assert np.array_equal(vector, from_bytes(bytes(data)))
