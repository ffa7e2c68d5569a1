"""The syntax of lists: separators, bullets, numbers, lines."""

# ruff: noqa: RUF001  (full-width separators look like ASCII ones, and are not)

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

OPENING, CLOSING = "([{（［", ")]}）］"

PARENTHESIS = re.compile(f"[{re.escape(OPENING)}]")

# All line breaks of Unicode.
LINE_BREAK = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Also cp1252's bullet, a control character; Word's, in the private-use area; and
# UTF-8's bullet decoded as cp1252.
BULLETS = "•‣⁃⁌⁍∙●○◦◉◎■□▪▫◆◇❖►▻▶▷▸▹➢➣➤➥✓✔✗✘✦✧★☆⭐☐☑☒✅❑❒⦁⦾⦿⬤⚫⚪◼◻◾◽‧\x95"
# Not a comma between digits (thousands), nor a middle dot between two l (Catalan). A
# hyphen or an asterisk before a space is a bullet only at the start of an item, see
# trim.MARKER. A plus between spaces, but not "5 + years" and "C + +".
SEPARATOR = re.compile(
    rf"{LINE_BREAK.pattern}"
    r"|(?<!\d),|,(?!\d{3}(?!\d))"
    rf"|[;|\t、，；؛،｜￨¦{BULLETS}\ue000-\uf8ff]"
    r"|(?<![lL])[·⋅]|[·⋅](?![lL])|(?<!\w)・|・(?!\w)"
    r"|â€¢|\s/\s|(?<!\d)(?<!\s\+)\s\+\s(?!\+)"
)
COMMAS = frozenset(",，、،")

# A repeated bullet in one line: "- Python - SQL".
LINE_BULLET = re.compile(r"\s*([-–—*+>»→o])\s+\S")
NUMBER = re.compile(r"(?<!\S)\(?(\d{1,3})[.)]\s+(?=\S)")
LINE_NUMBER = re.compile(
    r"\s*\(?(\d{1,3})(?:[.):]+\s+(?=\S)|[.):]+(?=[^\W\d])|\s+(?=[^\W\d]))"
)
NUMBER_AND_TAB = re.compile(r"((?:^|\s)\(?\d{1,3}[.)])\t+")


@dataclass(frozen=True)
class Item:
    """The text between two separators. `ends_list`: the last one, after a comma."""

    text: str
    ends_list: bool = False


def lines_of(text: str) -> list[str]:
    """The non-empty lines, without numbers that precede all of them."""
    text = NUMBER_AND_TAB.sub(r"\1 ", text)
    lines = [line for _, line in _cut(text, LINE_BREAK) if line.strip()]
    found = [LINE_NUMBER.match(line) for line in lines]
    numbers = [int(match[1]) for match in found if match]
    if len(lines) > 1 and numbers == list(range(1, len(lines) + 1)):
        return [
            line[match.end() :]
            for line, match in zip(lines, found, strict=True)
            if match
        ]
    return lines


def bulleted(line: str) -> list[str]:
    """The parts of a line with several bullets, split at its first kind of bullet.

    >>> bulleted("- Python - SQL"), bulleted("Java - Spring")
    (['Python', 'SQL'], ['Java - Spring'])
    """
    first = LINE_BULLET.match(line)
    if not first:
        return [line]
    bullet = re.compile(rf"(?:^|\s)\s*{re.escape(first[1])}\s+")
    return [piece for piece in bullet.split(line) if piece.strip()]


def numbered(line: str) -> list[str]:
    """The parts of a line before, between and after the numbers 1, 2, 3, …

    >>> numbered("Needed: 1. Python 2. SQL"), numbered("Level 2. SQL")
    (['Needed: ', 'Python ', 'SQL'], ['Level 2. SQL'])
    """
    pieces = []
    start = number = 0
    for found in NUMBER.finditer(line):
        if int(found[1]) == number + 1:
            pieces.append(line[start : found.start()])
            start = found.end()
            number += 1
    return [*pieces, line[start:]] if number > 1 else [line]


def items_of(piece: str) -> Iterator[Item]:
    """The parts of a line between separators outside of parentheses."""
    cut = [found for found in _cut(piece, SEPARATOR) if found[1].strip()]
    for place, (separator, text) in enumerate(cut, start=1):
        is_last = place == len(cut) and separator in COMMAS
        yield Item(text, ends_list=is_last)


def _cut(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """(preceding separator, part) for each part of a text."""
    protected = _inside_parentheses(text) if PARENTHESIS.search(text) else None
    start, separator = 0, ""
    for match in pattern.finditer(text):
        if protected is None or not protected[match.start()]:
            yield separator, text[start : match.start()]
            start, separator = match.end(), match[0]
    yield separator, text[start:]


def _inside_parentheses(text: str) -> list[bool]:
    """True for each character inside closed parentheses."""
    depth = [0] * (len(text) + 1)
    opened: list[int] = []
    for position, character in enumerate(text):
        if character in OPENING:
            opened.append(position)
        elif character in CLOSING and opened:
            # An unclosed parenthesis has no effect, but closed ones inside it do.
            depth[opened.pop()] += 1
            depth[position] -= 1
    return [level > 0 for level in accumulate(depth)]
