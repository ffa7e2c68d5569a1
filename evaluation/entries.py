"""What a dataset's rows and questions consist of: skills, words and their counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.ranking.skills.parse import Skill, skill_key, split_skills, with_title
from app.ranking.skills.stems import words_of
from app.ranking.skills.synonyms import as_spelled_out, built_in
from evaluation.datasets import Dataset
from evaluation.encoding import RememberingEncoder
from evaluation.measures import Scores

COLUMNS_AT_ONCE = 64


@dataclass(frozen=True)
class Entries:
    """The skills of all rows, and each row's title as one more where there is one.

    `ids` lists the rows' skills one row after the other: `sizes` (rows,) of them from
    `starts` (rows,) on. `keys`: the text of each different skill, by its id.
    """

    keys: list[str]
    ids: NDArray[np.intp]
    sizes: NDArray[np.intp]
    starts: NDArray[np.intp]

    @property
    def listed(self) -> NDArray[np.intp]:
        """(skills,): how many rows list each."""
        return np.bincount(self.ids, minlength=len(self.keys))


def entries_of(data: Dataset, *, with_titles: bool) -> Entries:
    """A row without any skill is taken for one skill as a whole."""
    titles = data.titles if with_titles and data.titles else [None] * len(data.rows)
    lists = [keys_of(*each) for each in zip(data.rows, titles, strict=True)]
    keys = sorted({key for own in lists for key in own})
    place = {key: n for n, key in enumerate(keys)}
    sizes = np.array([len(own) for own in lists], np.intp)
    starts = np.zeros(len(lists), np.intp)
    np.cumsum(sizes[:-1], out=starts[1:])
    ids = np.array([place[key] for own in lists for key in own], np.intp)
    return Entries(keys, ids, sizes, starts)


def skills_of(text: str, title: str | None = None) -> list[Skill]:
    """The skills of a text as the service splits it, by the built-in synonyms."""
    skills = with_title(split_skills(text), title)
    return built_in().canonical(as_spelled_out(skills))


def keys_of(text: str, title: str | None = None) -> list[str]:
    """The skills of a row or a question, or all of it where there is none."""
    return [skill.key for skill in skills_of(text, title)] or [skill_key(text)]


class SkillMatches:
    """The similarity of every question's skills with the rows' skills.

    `columns`: for each question which columns are its own skills. `similarities`:
    (skills, k) float32. `best`: (rows, k) float32, of each row's most similar skill.
    """

    def __init__(
        self, data: Dataset, entries: Entries, encoder: RememberingEncoder
    ) -> None:
        asked = [keys_of(query) for query in data.queries]
        wanted = sorted({key for own in asked for key in own})
        column = {key: n for n, key in enumerate(wanted)}
        self.columns = [np.array([column[key] for key in own]) for own in asked]
        self.similarities = encoder.encode(entries.keys) @ encoder.encode(wanted).T
        parts = 1 + len(wanted) // COLUMNS_AT_ONCE
        self.best = np.hstack(
            [
                np.maximum.reduceat(part[entries.ids], entries.starts, axis=0)
                for part in np.array_split(self.similarities, parts, axis=1)
            ]
        )


class WordMatches:
    """How often every question's words stand in the rows' skills.

    `columns`: for each question which columns are its own words. `counts`: (rows, w)
    float64. `frequency`: (w,) how many rows hold each word, from the counts of skills;
    a row with two skills of one word counts twice. `lengths`: (rows,) words.
    """

    def __init__(self, data: Dataset, entries: Entries) -> None:
        asked = [words_of(query) for query in data.queries]
        wanted = sorted({word for own in asked for word in own})
        column = {word: n for n, word in enumerate(wanted)}
        self.columns = [
            np.array([column[word] for word in own], np.intp) for own in asked
        ]
        words = [words_of(key) for key in entries.keys]
        held = [
            (n, column[w]) for n, own in enumerate(words) for w in own if w in column
        ]
        at = np.array(held, np.intp).reshape(-1, 2)
        holds = csr_matrix(
            (np.ones(len(at)), (at[:, 0], at[:, 1])), (len(words), len(wanted))
        )
        lists = csr_matrix(
            (
                np.ones(len(entries.ids)),
                entries.ids,
                np.append(entries.starts, len(entries.ids)),
            ),
            (len(entries.sizes), len(words)),
        )
        self.counts: Scores = (lists @ holds).toarray()
        self.frequency: Scores = np.minimum(entries.listed @ holds, len(entries.sizes))
        sizes = np.array([len(own) for own in words])
        self.lengths: Scores = np.add.reduceat(sizes[entries.ids], entries.starts)
