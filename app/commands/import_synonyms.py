"""Import synonyms of skills from a CSV file: your own, ESCO's or O*NET's.

Yours has the columns form and canonical, and context for forms of several meanings:
words of which one must stand in the other skills of a text. Of ESCO's download
(skills_en.csv) the columns preferredLabel and altLabels are read; of O*NET's technology
skills the column Example, where it names two forms ("Extensible markup language XML").
A form in the file gets the meanings that the file gives it, and no others; other forms
keep theirs. The backfill then splits the texts again that name one.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.commands.import_csv.source import CsvSource, open_source
from app.config import ScriptSettings, read_settings
from app.deadline import Deadline
from app.errors import AppError, InvalidInputError
from app.query.numbers import counted
from app.ranking.skills.initials import spelled_out
from app.ranking.skills.parse import skill_key, split_skills
from app.ranking.skills.synonyms import built_in, synonyms_of
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.synonyms import SynonymRow, replace_synonyms

OWN = ("form", "canonical")
ESCO = ("preferredLabel", "altLabels")
ONET = ("Example", "Commodity Code")
# O*NET's suffixes of a name.
KIND = re.compile(r" (?:software|systems?|tools?)$")
SYNONYMS_TIMEOUT_S = 600.0


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        dsn = primary(read_settings(ScriptSettings).database_url.get_secret_value())
        with args.file.open("rb") as file:
            rows = read_rows(open_source(file, (), encoding=args.encoding, renamed={}))
        database = Database(dsn, pool_size=1)
        try:
            with database.write(Deadline.after(SYNONYMS_TIMEOUT_S)) as transaction:
                changed = replace_synonyms(transaction, rows)
        finally:
            database.close()
    except (AppError, OSError, LookupError) as error:
        print(f"import_synonyms: {error}", file=sys.stderr)
        return 1
    print(
        f"{counted(len(rows), 'synonyms')} in the file, {changed} changed."
        " The backfill splits the texts again that name one."
    )
    return 0


def read_rows(source: CsvSource) -> list[SynonymRow]:
    """Read the synonyms of a file. Raises InvalidInputError with the line."""
    if source.header.count(OWN) == len(OWN):
        return _own_rows(source)
    if source.header.count(ESCO) == len(ESCO):
        labels = source.columns(ESCO)
        return esco_rows((label, also.splitlines()) for _, (label, also) in labels)
    if source.header.count(ONET) == len(ONET):
        return onet_rows(name for _, (name, _) in source.columns(ONET))
    raise InvalidInputError(
        "The file has neither the columns form and canonical, nor ESCO's preferredLabel"
        " and altLabels, nor O*NET's Example and Commodity Code; name them in its"
        " header line."
    )


def _own_rows(source: CsvSource) -> list[SynonymRow]:
    lines = [
        (line, form, meant, words)
        for line, (form, meant, words) in source.columns((*OWN, "context"))
    ]
    try:
        synonyms_of(lines)
    except ValueError as error:
        raise InvalidInputError(str(error)) from None
    return [
        SynonymRow(skill_key(form), skill_key(meant), words)
        for _, form, meant, words in lines
    ]


def esco_rows(labels: Iterable[tuple[str, Sequence[str]]]) -> list[SynonymRow]:
    """Alternative labels to the label that each belongs to. Left out are those of
    several labels, those that are a label themselves, those that no text is split to,
    and short forms whose meaning the pairs that come along choose by context.
    """
    known = [(skill_key(label), also) for label, also in labels]
    pairs = {(skill_key(form), label) for label, also in known for form in also}
    return _unambiguous(pairs, taken={label for label, _ in known})


def onet_rows(names: Iterable[str]) -> list[SynonymRow]:
    """Short forms of names that spell them out; likewise."""
    found = (spelled_out(KIND.sub("", skill_key(name))) for name in names)
    return _unambiguous({form for form in found if form}, taken=set())


def _unambiguous(pairs: set[tuple[str, str]], taken: set[str]) -> list[SynonymRow]:
    meanings = Counter(form for form, _ in pairs)
    return [
        SynonymRow(form, label)
        for form, label in sorted(pairs)
        if form not in taken and meanings[form] == 1 and _is_plain(form) and label
    ]


def _is_plain(form: str) -> bool:
    if any(meaning.context for meaning in built_in().meanings(form)):
        return False
    return [skill.key for skill in split_skills(form)] == [form]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="a CSV file with a header line")
    parser.add_argument("--encoding", help="of the file, if it is not recognised")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
