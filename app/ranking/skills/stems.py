"""Stems of the words of a text: without stop words and English endings."""

import re
from hashlib import blake2b

from app.ranking.skills.parse import skill_key

# "C++", "C#" and "F#" keep their signs; "CI/CD" is two words.
STEMMED_WORD = re.compile(r"[^\W_]+[+#]*")

# English stop words, and words that people write around their skills.
_STOP_TEXT = """
    a about after all also am an and any are as at be because been but by can could do
    does doing down each etc every few for from get give got had has have he her him his
    how i if in into is it its just know like lot lots many me more most much my new no
    not of off on one or other our out over own people she so some something someone
    stuff such than that the their them then there they thing things this those through
    to too under up us use used using very want was we well were what when where which
    while who why will with work worked working would year years you your
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())

# Increase it with every change of `words_of`, so that caches are rebuilt; a test
# compares it with the words of a sample.
STEMS_VERSION = 1

# Shorter words keep their ending.
MIN_STEM_LETTERS = 3
ENDINGS = ("ings", "ing", "ers", "ies", "ed", "er", "es", "s", "e", "y")


def words_of(text: str) -> list[str]:
    """The distinct stems of a text's words in order, without stop words.

    >>> words_of("Baking bread, and baking cakes in C++")
    ['bak', 'bread', 'cak', 'c++']
    """
    found = STEMMED_WORD.findall(skill_key(text))
    return list(dict.fromkeys(stem(word) for word in found if word not in STOP_WORDS))


def stem(word: str) -> str:
    """A word without its English ending, for comparison only."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= MIN_STEM_LETTERS:
            return word[: -len(ending)]
    return word


def word_hash(word: str) -> int:
    """A 64-bit hash of a stem, which is unique among the words of all jobs."""
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
