"""How a CSV file was saved: what it is, and how its letters are encoded."""

import codecs
import re
from typing import BinaryIO

from app.errors import InvalidInputError

CHUNK_BYTES = 1 << 20
# The longer first: UTF-32's begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NO_TEXT = (
    (b"PK\x03\x04", "an Excel or OpenDocument workbook, or a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"%PDF", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"PAR1", "a Parquet file"),
)
# Bytes that are no UTF-8 are decoded to half surrogate pairs.
BROKEN = re.compile("[\udc80-\udcff]")
SOUND_NON_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def find_encoding(file: BinaryIO) -> str:
    """The name of the file's encoding, for `codecs`; the file is at its start again.

    UTF-8 unless a mark at the start, zero bytes, or broken letters say otherwise.
    Raises InvalidInputError for what is no text, and for a mixture.
    """
    head = file.read(4096)
    for beginning, kind in NO_TEXT:
        if head.startswith(beginning):
            raise InvalidInputError(
                f"The file is {kind}; save the table as CSV (in Excel: Save as,"
                " CSV UTF-8) and import that."
            )
    file.seek(0)
    for mark, name in MARKS:
        if head.startswith(mark):
            return _checked(file) if name == "utf-8-sig" else name
    return _utf16_without_mark(head) or _eight_bits(file)


def _checked(file: BinaryIO) -> str:
    """UTF-8 with a mark, which no other encoding has."""
    if _eight_bits(file) != "utf-8":
        raise InvalidInputError("The file begins as UTF-8 and is not UTF-8 throughout.")
    return "utf-8-sig"


def _utf16_without_mark(head: bytes) -> str | None:
    """Latin letters in UTF-16 have a zero byte each, always on the same side."""
    zeros = [head[place::2].count(0) for place in (0, 1)]
    enough = len(head) // 8
    if zeros[1] > enough and not zeros[0]:
        return "utf-16-le"
    if zeros[0] > enough and not zeros[1]:
        return "utf-16-be"
    return None


def _eight_bits(file: BinaryIO) -> str:
    """UTF-8, or cp1252 where no letter beyond ASCII is UTF-8; read in pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    line, broken_at, has_sound, has_undefined = 1, 0, False, False
    while True:
        piece = file.read(CHUNK_BYTES)
        text = decoder.decode(piece, final=not piece)
        found = None if broken_at else BROKEN.search(text)
        if found:
            broken_at = line + text.count("\n", 0, found.start())
        line += text.count("\n")
        has_sound = has_sound or SOUND_NON_ASCII.search(text) is not None
        # At the end a letter that was begun is broken too: the file was cut off.
        is_cut_off = bool(found) and not piece
        has_undefined = has_undefined or bool(UNDEFINED_IN_CP1252.search(piece))
        if not piece:
            break
    file.seek(0)
    if not broken_at:
        return "utf-8"
    if has_sound or has_undefined or is_cut_off:
        raise InvalidInputError(
            f"Line {broken_at} is neither UTF-8 nor Windows-1252 (cp1252); save the"
            " file as UTF-8, or name its encoding with --encoding."
        )
    return "cp1252"
