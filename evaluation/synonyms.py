"""How often forms of one skill match: `python -m evaluation.synonyms`.

Pairs of the list that comes along; pairs mined by a rule from REAL_DATA_DIR, of which
the list knows few, with and without ESCO's labels and O*NET's names as the team's own,
and with what real postings spell out; and pairs that have nothing to do with one
another.
"""

import csv
import os
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.commands.import_synonyms import esco_rows, onet_rows
from app.ranking.skills.initials import spelled_out
from app.ranking.skills.parse import Skill, skill_key, split_skills
from app.ranking.skills.synonyms import BUILT_IN, Meaning, Synonyms, built_in

SEED = 3
SHUFFLED = 20_000
SMALL = frozenset(["of", "and", "for", "the", "to", "in", "by", "on", "a", "with"])
# Longest names of O*NET, and what stands behind them in capitals.
SPELLED = re.compile(
    r"([A-Z][a-zA-Z/&-]*(?: [a-zA-Z/&-]+)+) \(?([A-Z][A-Za-z]*[A-Z])\)?"
    r"(?: software| systems?| tools?)?"
)
SHORT = re.compile(r"[A-Z][A-Za-z]?[A-Z]{1,4}s?")
SHORT_BEHIND = re.compile(r"(.+ .+?) \(([A-Z][A-Za-z]?[A-Z]{1,4})\)")
MOST_LETTERS = 6

csv.field_size_limit(1 << 30)

Pair = tuple[str, str]


def main() -> int:
    folder = os.environ.get("REAL_DATA_DIR")
    if not folder:
        print("evaluation: set REAL_DATA_DIR, see tests/README.md.", file=sys.stderr)
        return 2
    labels = list(_labels(Path(folder)))
    mined = sorted(set(_of_onet(Path(folder))) | set(_of_esco(labels)))
    unlisted = [pair for pair in mined if not _matched(built_in(), pair)]
    with_esco = _imported(labels, [])
    with_both = _imported(labels, list(_onet_names(Path(folder))))
    listed = _listed()
    print("| pairs | matched |\n| --- | --- |")
    _show("of the list, without ambiguous forms", listed, built_in())
    _show("mined", mined, built_in())
    _show("mined, not in the list, after ESCO was imported", unlisted, with_esco)
    _show("the same, after O*NET was, too", unlisted, with_both)
    spelled = _of_postings(Path(folder))
    _show("mined, not in the list, by postings that spell them out", unlisted, spelled)
    _show("mined and shuffled", _shuffled(mined), with_both)
    return 0


def _show(name: str, pairs: Sequence[Pair], synonyms: Synonyms) -> None:
    count = sum(_matched(synonyms, pair) for pair in pairs)
    print(f"| {name} | {count:,} of {len(pairs):,} ({count / len(pairs):.1%}) |")


def _matched(synonyms: Synonyms, pair: Pair) -> bool:
    """Whether a text with the one form and a text with the other have one skill."""
    one, other = (synonyms.canonical([Skill(f, skill_key(f))])[0].key for f in pair)
    return one == other


def _listed() -> list[Pair]:
    with BUILT_IN.open(encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [(r["form"], r["canonical"]) for r in rows if not r["context"]]


def _imported(labels: Sequence[Sequence[str]], names: Sequence[str]) -> Synonyms:
    """As after `import_synonyms.py` with ESCO's labels, then O*NET's names."""
    meanings: dict[str, Sequence[Meaning]] = {
        form: built_in().meanings(form) for form in built_in().forms
    }
    of_esco = esco_rows((label[0], label[1:]) for label in labels)
    for row in [*of_esco, *onet_rows(names)]:
        meanings[row.form] = [Meaning(row.canonical, frozenset())]
    return Synonyms(meanings)


def _labels(folder: Path) -> Iterator[list[str]]:
    """The label of each skill of ESCO, then its alternative ones."""
    with (folder / "esco_skills.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield [row["label"], *filter(None, row["alt_labels"].split("|"))]


def _of_esco(labels: Sequence[Sequence[str]]) -> Iterator[Pair]:
    for names in labels:
        shorts = [name for name in names if SHORT.fullmatch(name)]
        longs = [name for name in names if len(name.split()) > 1 or "-" in name]
        behind = filter(None, map(SHORT_BEHIND.fullmatch, names))
        pairs = [(short, long) for short in shorts for long in longs]
        pairs += [(match[2], match[1]) for match in behind]
        yield from (pair for pair in pairs if _spells(*pair))


def _of_postings(folder: Path) -> Synonyms:
    """As if a short form that some posting spells out, always in the same way, stood
    for that in every posting.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    with (folder / "jobs_real.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for skill in split_skills(row["skills"]):
                if form := spelled_out(skill.key):
                    found[form[0]].add(form[1])
    meanings: dict[str, Sequence[Meaning]] = {
        form: built_in().meanings(form) for form in built_in().forms
    }
    for short, longs in found.items():
        if len(longs) == 1 and short not in meanings:
            meanings[short] = [Meaning(longs.pop(), frozenset())]
    return Synonyms(meanings)


def _onet_names(folder: Path) -> set[str]:
    with (folder / "onet_eval.csv").open(encoding="utf-8") as file:
        lists = [row["technology"] for row in csv.DictReader(file)]
    return {name for listed in lists for name in listed.split("|")}


def _of_onet(folder: Path) -> Iterator[Pair]:
    for name in _onet_names(folder):
        match = SPELLED.fullmatch(name)
        if match and len(match[2]) <= MOST_LETTERS and _spells(match[2], match[1]):
            yield match[2], match[1]


def _spells(short: str, long: str) -> bool:
    """Whether the short form has the initials of the long one's words."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", long.lower()) if word]
    plain = [word for word in words if word not in SMALL]
    initials = {"".join(word[0] for word in some) for some in (words, plain)}
    letters = short.lower()
    return letters in initials or letters.rstrip("s") in initials


def _shuffled(mined: Sequence[Pair]) -> list[Pair]:
    """A short form and the long form of another one."""
    rng = random.Random(SEED)  # noqa: S311  (a sample)
    pairs = ((rng.choice(mined), rng.choice(mined)) for _ in range(SHUFFLED))
    return [
        (one[0], other[1])
        for one, other in pairs
        if one[0].lower() != other[0].lower() and one[1].lower() != other[1].lower()
    ]


if __name__ == "__main__":
    sys.exit(main())
