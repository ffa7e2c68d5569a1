"""Labelled pairs of a question and a job, from a CSV file, and measures of hits."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import ConfigError

FIRST_PAGE = 10
COLUMNS = "user_id or query, job_id and relevance"


@dataclass(frozen=True)
class Question:
    """A user, or a text; `relevance`: of its labelled jobs, by their ids as text, 0 for
    a wrong one.
    """

    relevance: Mapping[str, float]
    user_id: str | None = None
    text: str | None = None


def read_labels(path: Path) -> Sequence[Question]:
    """The questions with a right job. Raises ConfigError, which names what is wrong."""
    found: defaultdict[tuple[str | None, str | None], dict[str, float]]
    found = defaultdict(dict)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                user, text = row.get("user_id") or None, row.get("query") or None
                try:
                    if (user is None) == (text is None):
                        raise ValueError  # noqa: TRY301
                    found[user, text][row["job_id"]] = float(row["relevance"])
                except (KeyError, TypeError, ValueError):
                    raise ConfigError(
                        f"Line {number} of {path} is no label: it needs {COLUMNS}, a"
                        " number."
                    ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The labels {path} cannot be read ({error}).") from error
    questions = [Question(jobs, *asked) for asked, jobs in found.items()]
    right = [one for one in questions if max(one.relevance.values()) > 0]
    if not right:
        raise ConfigError(f"No line of {path} has a relevance above 0.")
    return right


def recall(ids: Sequence[str], relevance: Mapping[str, float]) -> float:
    """R@10: 1 if a right job is among the first ten."""
    return float(any(relevance.get(id_, 0) > 0 for id_ in ids[:FIRST_PAGE]))


def ndcg(ids: Sequence[str], relevance: Mapping[str, float]) -> float:
    """nDCG@10 with linear gains, as trec_eval has it. Other jobs are wrong."""
    best = sorted((max(0.0, gain) for gain in relevance.values()), reverse=True)
    found = [max(0.0, relevance.get(id_, 0.0)) for id_ in ids]
    return _gain(found) / _gain(best)


def _gain(gains: Sequence[float]) -> float:
    first = np.array(gains[:FIRST_PAGE])
    return float((first / np.log2(np.arange(len(first)) + 2)).sum())
