"""The held-out queries, which are not used to choose weights."""

from hashlib import sha256


def is_held_out(question: str) -> bool:
    """Whether the last hexadecimal digit of the text's SHA-256 is odd."""
    return int(sha256(question.encode()).hexdigest()[-1], 16) % 2 == 1
