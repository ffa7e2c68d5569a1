"""Benchmarks with labels by others; their README has the sources."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import Dataset, read
from evaluation.halves import is_held_out

# Annotations that name no skill of the list.
UNLABELLED = frozenset({"UNDERSPECIFIED", "LABEL NOT PRESENT"})
LANGUAGES = {"en": "titles", "de": "titles (German)"}


def prose(folder: Path, *, held_out: bool) -> Dataset:
    """Descriptions of O*NET in prose, compared with the skills of ESCO occupations."""
    rows = read(folder / "esco_eval.csv")
    place = {row["occupation_id"]: n for n, row in enumerate(rows)}
    mine = [
        row
        for row in read(folder / "external" / "prose_dev.csv")
        if is_held_out(row["title"]) == held_out
    ]
    return Dataset(
        "O*NET prose",
        [row["skills"] for row in rows],
        [row["description"] for row in mine],
        [_places(row["right"].replace("|", " ").split(), place) for row in mine],
        held_out=held_out,
    )


def job_titles(folder: Path, language: str, *, held_out: bool) -> Dataset:
    """Job titles compared with job titles; two people judged each pair."""
    here = folder / "external" / "job_titles" / language
    corpus = _table(here / "corpus_documents.tsv")
    place = {row[0]: n for n, row in enumerate(corpus)}
    right: dict[str, list[str]] = defaultdict(list)
    for query, _, document, relevance in _table(here / "annotations.tsv"):
        if relevance != "0" and document in place:
            right[query].append(document)
    queries = [
        (name, text)
        for name, text in _table(here / "queries.tsv")
        if right[name] and is_held_out(text) == held_out
    ]
    return Dataset(
        LANGUAGES[language],
        [text for _, text in corpus],
        [text for _, text in queries],
        [_places(right[name], place) for name, _ in queries],
        held_out=held_out,
        metric="MAP",
    )


def sentences(folder: Path, *, held_out: bool) -> Dataset:
    """Sentences of postings, and ESCO skills that experts marked as right."""
    here = folder / "external" / "skill_sentences"
    labels = (here / "skills_en_label.txt").read_text(encoding="utf-8").splitlines()
    place = {label.casefold(): n for n, label in enumerate(labels)}
    part = "test" if held_out else "validation"
    right: dict[str, set[str]] = defaultdict(set)
    for row in read(here / f"tech_{part}_annotations.csv"):
        label = row["label"].casefold()
        if row["label"] not in UNLABELLED and label in place:
            right[row["sentence"]].add(label)
    queries = sorted(right)
    return Dataset(
        "skills in sentences",
        labels,
        queries,
        [_places(sorted(right[query]), place) for query in queries],
        held_out=held_out,
        metric="RP@10",
    )


def _places(names: Iterable[str], place: dict[str, int]) -> NDArray[np.intp]:
    return np.array([place[name] for name in names], np.intp)


def _table(path: Path) -> list[Sequence[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
