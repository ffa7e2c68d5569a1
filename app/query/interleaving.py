"""Interleaving: the setting that answers compare with the settings as they are."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Option = Literal["rank_by", "diversity"]

ALTERNATIVE = re.compile(r"\s*(\w+)\s*:\s*([\w.]+)\s*", re.ASCII)


@dataclass(frozen=True)
class Alternative:
    """The setting B: an option of requests, and its value there."""

    option: Option
    value: str

    @property
    def diversity(self) -> float:
        """The value of the option `diversity`."""
        return float(self.value)


def read_alternative(text: str) -> Alternative | None:
    """Parse OPTION:VALUE; None for an empty text. Raises ValueError.

    >>> read_alternative("rank_by: similarity")
    Alternative(option='rank_by', value='similarity')
    """
    if not text.strip():
        return None
    match = ALTERNATIVE.fullmatch(text)
    for option in get_args(Option):
        if match and match[1] == option:
            if option == "diversity":
                _check_share(match[2])
            return Alternative(option, match[2])
    raise ValueError("it is a pair such as rank_by:similarity or diversity:0.3")


def _check_share(text: str) -> None:
    if not re.fullmatch(r"0(\.\d+)?|1(\.0+)?", text, re.ASCII):
        raise ValueError("a diversity is a number from 0 to 1")
