"""Detect skills that name a short and a long form: "Team Foundation Server (TFS)".

Equal initials are no proof: one in five of the short forms in real postings has the
initials of some phrase by chance ("SAS": strong analytical skills).
"""

import re

# Two letters are ambiguous: they need a list with contexts.
LEAST_LETTERS = 3
MOST_LETTERS = 6
SMALL_WORDS = frozenset({"a", "and", "as", "by", "for", "in", "of", "on", "the", "to"})
SHORT = re.compile(rf"[a-z]{{{LEAST_LETTERS},{MOST_LETTERS}}}")
PART = re.compile(r"[^\W_]+")
BESIDE = re.compile(r"(.+?)\s*\(([^()]+)\)")


def is_short_form(short: str, long: str) -> bool:
    """Whether the letters of one key are the initials of the other's words.

    Small words are optional, a plural "s" is ignored, and "ex" may stand for an x.

    >>> is_short_form("erp", "enterprise resource planning")
    True
    """
    parts: list[str] = PART.findall(long)
    if not SHORT.fullmatch(short):
        return False
    spelled = {
        _initials(parts),
        _initials([part for part in parts if part not in SMALL_WORDS]),
    }
    options = {short}
    if short.endswith("s") and len(short) > LEAST_LETTERS:
        options.add(short[:-1])
    return bool(spelled & options) or short == _initials(parts, ex="x")


def spelled_out(key: str) -> tuple[str, str] | None:
    """The short and the long form of a key that names both, in either order.

    >>> spelled_out("tfs (team foundation server)")
    ('tfs', 'team foundation server')
    >>> spelled_out("extensible markup language xml")
    ('xml', 'extensible markup language')
    """
    if match := BESIDE.fullmatch(key):
        forms = [(match[1], match[2]), (match[2], match[1])]
    else:
        words = key.split()
        if len(words) < LEAST_LETTERS:
            return None
        forms = [(words[0], " ".join(words[1:])), (words[-1], " ".join(words[:-1]))]
    return next((form for form in forms if is_short_form(*form)), None)


def _initials(parts: list[str], *, ex: str = "e") -> str:
    return "".join(ex if part.startswith("ex") else part[0] for part in parts)
