"""Convert HTML in a skills text to plain text."""

import html
import re

# Block elements, which end a line in a browser, and inline elements.
BLOCKS = (
    "address article aside blockquote body br caption center dd div dl dt fieldset"
    " footer form h1 h2 h3 h4 h5 h6 head header hr html li main nav ol option p pre"
    " section select table tbody td tfoot th thead title tr ul"
)
INLINE = (
    "a abbr acronym b big bdi bdo cite code del dfn em font i img ins kbd label mark"
    " o:p q s samp small span strike strong sub sup tt u var wbr"
)


def _tags(names: str) -> re.Pattern[str]:
    # Known names only: "List<String>" and "a < b" are not tags.
    return re.compile(
        rf"</?(?:{'|'.join(names.split())})(?:\s[^<>]*)?/?>", re.IGNORECASE
    )


BLOCK_TAG, INLINE_TAG = _tags(BLOCKS), _tags(INLINE)
UNSEEN = re.compile(r"<(?:!--|(script|style)\b)", re.IGNORECASE)
SEEN_AGAIN = {
    None: re.compile("-->"),
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
}
# Only with a semicolon: "R&D" and "sales&notes" contain no entity.
ENTITY = re.compile(
    r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE
)
# Texts may be escaped twice.
MAX_ROUNDS = 3


def plain_text(text: str) -> str:
    """The text as in a browser, with one line per block.

    >>> plain_text("<ul><li>R&amp;D</li><li><b>C++</b></li></ul>").split()
    ['R&D', 'C++']
    """
    for _ in range(MAX_ROUNDS):
        plain = _without_tags(ENTITY.sub(_character, text))
        if plain == text:
            break
        text = plain
    return text


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    text = _without_unseen(text)
    return INLINE_TAG.sub("", BLOCK_TAG.sub("\n", text))


def _without_unseen(text: str) -> str:
    """The text without comments, and without closed scripts and styles."""
    pieces = []
    start = 0
    while found := UNSEEN.search(text, start):
        closing = SEEN_AGAIN[found[1] and found[1].lower()].search(text, found.end())
        if closing is None:
            break
        pieces.append(text[start : found.start()])
        start = closing.end()
    return "\n".join([*pieces, text[start:]])


def _character(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])
