"""Lists that a program wrote into a text: JSON, Python, Postgres. It evaluates none."""

import json
import re
from collections.abc import Iterator

CLOSED_BY = {"[": "]", "{": "}", "(": ")"}
# A string starts where an item can start, so not at an apostrophe inside a word.
STRING = re.compile(
    r"""(?<=[\[{(,:\s])[ub]?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')(?=\s*(?:[\]}),:]|['"\s]))""",
    re.DOTALL,
)
ITEM = re.compile(STRING.pattern + r"|([^\s,\[\]{}()'\"][^,\[\]{}]*)", re.DOTALL)
JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
SURROGATE = re.compile("[\ud800-\udfff]")
CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
# Python's spellings of JSON constants.
CONSTANTS = {"None": "null", "True": "true", "False": "false", "(": "[", ")": "]"}
CONSTANT = re.compile(r"\b(?:None|True|False)\b|[()]|,(?=\s*[\])}])")
NO_SKILL_TEXTS = ("", "NULL", "None")
BRACKET = re.compile(r"[\[\]{}]")
# The key of the skill's name in an object.
NAMES = ("name", "skill", "skill_name", "label", "title", "value", "text")


def read_list(text: str) -> list[str] | None:
    """The items of a text that is one literal list; None for any other text.

    Nested lists are flattened. An object stands for its name, or for its keys if it
    maps skills to levels. Items without quotes are returned as one, not split.

    >>> read_list('["Python", "C++"]'), read_list("{Python,R}"), read_list("R")
    (['Python', 'C++'], ['Python,R'], None)
    """
    text = text.strip()
    if not _is_enclosed(text):
        return None
    for written in (text, _as_json(text)):
        try:
            return [item for item in _flat(json.loads(written)) if item.strip()]
        except (ValueError, RecursionError):
            continue
    if text[0] == "(" and ("," not in text or STRING.search(text)):
        return None  # a note such as "(see below)", or a formula
    return _loose_items(text)


def _is_enclosed(text: str) -> bool:
    """Whether the last character closes the first bracket."""
    if len(text) < 2 or CLOSED_BY.get(text[0]) != text[-1]:  # noqa: PLR2004
        return False
    opening, closing = text[0], text[-1]
    depth = 0
    for found in re.finditer(re.escape(opening) + "|" + re.escape(closing), text):
        depth += 1 if found[0] == opening else -1
        if depth == 0:
            return found.end() == len(text) or STRING.search(text) is not None
    return False


def _as_json(text: str) -> str:
    """Convert Python's notation to JSON: quotes, constants, tuples, trailing commas."""
    pieces = []
    start = 0
    for string in STRING.finditer(text):
        pieces.append(_constants(text[start : string.start()]))
        pieces.append(json.dumps(_unescaped(string[1])))
        start = string.end()
    return "".join([*pieces, _constants(text[start:])])


def _constants(text: str) -> str:
    return CONSTANT.sub(lambda found: CONSTANTS.get(found[0], ""), text)


def _unescaped(string: str) -> str:
    return JSON_ESCAPE.sub(_character, string[1:-1])


def _character(escape: re.Match[str]) -> str:
    if code := escape[1] or escape[2]:
        return chr(int(code, 16))
    return CONTROLS.get(escape[3], escape[3])


def _flat(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _flat_object(value)
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif value is not None and not isinstance(value, bool):
        # A lone surrogate cannot be stored or sent.
        yield SURROGATE.sub("", str(value))


def _flat_object(value: dict[str, object]) -> Iterator[str]:
    named = {key.casefold(): item for key, item in value.items()}
    for name in NAMES:
        if isinstance(named.get(name), str):
            yield from _flat(named[name])
            return
    lists = [item for item in value.values() if isinstance(item, list)]
    # Groups of skills under labels, or skills with their levels.
    yield from _flat(lists or list(value))


def _loose_items(text: str) -> list[str]:
    """Items with or without quotes, as in Postgres, YAML, NumPy or plain lists."""
    if not STRING.search(text):
        return [BRACKET.sub(",", text[1:-1]) if text[0] != "(" else text[1:-1]]
    found = [
        _unescaped(item[1]) if item[1] else item[2] for item in ITEM.finditer(text)
    ]
    return [
        SURROGATE.sub("", item) for item in found if item.strip() not in NO_SKILL_TEXTS
    ]
