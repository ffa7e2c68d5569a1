"""Reduce an item of a list to its skill: without bullet, label, quotes and level."""

import re

from app.ranking.skills.labels import without_label
from app.ranking.skills.levels import is_level_alone, without_level

MAX_ITEM_CHARS = 1000

# Most items consist of words only. No marker is longer than two letters, and "etc" ends
# no skill.
PLAIN = re.compile(
    r"(?!and )[^\W\d_]{3,}(?: [^\W\d_]{2,}[+#]*)*(?<! [Ee]tc)(?<! usw)", re.IGNORECASE
)

# A marker before a skill. A dash, an asterisk or a number must be followed by a space
# or a letter: "-5 °C", "3D" and ".NET" are not markers.
MARKER = re.compile(
    r"""^(?:
      (?:[-*–—·⋅+>»→⇒➔➜~#]+|o)(?:\s+|$)                # dashes and other bullets
    | (?:[-–—·⋅>»→⇒]+|\*(?![^*]*\*|nix))(?=[^\W\d])   # the same, without a space
    | \[[ xX✓✔]?\]\s+                                    # a box to be ticked
    | \(?\d{1,3}(?:[.)]\s+|\)(?=[^\W\d]))                # 1. 2) (3)
    | (?:\#|no\.?\s*|nr\.?\s*)?\d{1,2}\s*(?:[-–—]|:)\s+  # 1 - and 1:
    | \(?(?:[a-z]|[ivx]{2,4})\)\s+                       # a) and iv)
    | [,;:.…、，]+\s+
    | (?:and|or|&)\s+
    )+""",  # noqa: RUF001
    re.IGNORECASE | re.VERBOSE,
)
LEADING = " \t\ufe0e\ufe0f\u20e3,;:"
TRAILING = " \t.:;,·⋅-–—"  # noqa: RUF001
MORE = re.compile(
    r"(?:\s*…|\.{3}|[\s,]+(?:[Ee]tc|usw)\b\.*|[\s,]+and (?:more|others))$"
)

TRIMMED_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "«": "»", "‘": "’", "‹": "›"}  # noqa: RUF001
EMPHASIS = ("**", "~~", "`", "*", "_")


def trimmed(item: str) -> str:
    """The skill of an item, or "" if it has none. Idempotent.

    >>> trimmed("- **Python** (advanced)"), trimmed("Skills: 'C++'"), trimmed("5 years")
    ('Python', 'C++', '')
    """
    item = item.strip()[:MAX_ITEM_CHARS]
    if PLAIN.fullmatch(item):
        return "" if is_level_alone(item) else item
    while not is_level_alone(item):
        if (shorter := _less_one(item)) == item:
            return item
        item = shorter
    return ""


def _less_one(item: str) -> str:
    item = MARKER.sub("", item).lstrip(LEADING)
    item = _unwrapped(without_label(item))
    item = MORE.sub("", item).rstrip(TRAILING)
    return without_level(item).rstrip()


def _unwrapped(item: str) -> str:
    """The item without quotes or emphasis around it."""
    if not item or (item[0].isalnum() and item[-1].isalnum()):
        return item
    if len(item) > 2 and TRIMMED_QUOTES.get(item[0]) == item[-1]:  # noqa: PLR2004
        inner = item[1:-1]
        if item[0] not in inner and item[-1] not in inner:
            return inner.strip()
    for mark in EMPHASIS:
        width = len(mark)
        if len(item) > 2 * width and item.startswith(mark) and item.endswith(mark):
            return item[width:-width].strip()
    return _without_half_a_pair(item) if item.count('"') == 1 else item


def _without_half_a_pair(item: str) -> str:
    """Without an unpaired quote, whose other one is in another item; 5" is a length."""
    if item[0] == '"':
        return item[1:].lstrip()
    if item[-1] == '"' and not item[-2].isdecimal():
        return item[:-1].rstrip()
    return item
