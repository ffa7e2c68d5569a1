"""What the answers of a service led to, in words and numbers for people."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from app.query.exposure import OnlineReport, Preferences, Reactions
from app.query.numbers import counted

# The two-sided 95 % quantile of the normal distribution.
Z = 1.959964


@dataclass(frozen=True)
class Share:
    """A share of `whole` with its 95 % interval."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, part: int, whole: int) -> "Share":
        """Wilson's score interval (Wilson, 1927), also for few; `whole` above 0."""
        share, square = part / whole, Z * Z / whole
        centre = (share + square / 2) / (1 + square)
        spread = math.sqrt(share * (1 - share) / whole + square / whole / 4)
        half = Z * spread / (1 + square)
        return cls(share, max(0.0, centre - half), min(1.0, centre + half))

    def __str__(self) -> str:
        return f"{self.share:.1%} ({self.low:.1%} to {self.high:.1%})"


def sign_test(one: int, other: int) -> float:
    """The two-sided exact p-value of these counts of two equally likely signs."""
    count = one + other
    logs = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        for k in range(min(one, other) + 1)
    ]
    tail = math.fsum(math.exp(each - count * math.log(2)) for each in logs)
    return min(1.0, 2 * tail)


def report_lines(report: OnlineReport) -> Iterator[str]:
    """One sentence about all answers, and one per comparison."""
    if report.since is None:
        return
    yield (
        f"shown: {counted(report.every.shown, 'jobs')} in"
        f" {counted(report.answers, 'answers')} to {counted(report.users, 'users')}"
        f" since {report.since:%Y-%m-%d}; {_reactions(report)}"
    )
    for each in report.comparisons:
        yield f"compared: {preference_sentence(each)}"


def _reactions(report: OnlineReport) -> str:
    every, ten = report.every, report.first_ten
    parts = [f"opened {Share.of(every.opened, every.shown)}"]
    parts += [f"{name} {_share(every, name):.1%}" for name in ("saved", "dismissed")]
    if ten.shown:
        parts.append(
            f"applied to {Share.of(ten.applied, ten.shown)} of the {ten.shown} among"
            " the first ten"
        )
    return ", ".join(parts)


def _share(reactions: Reactions, name: str) -> float:
    count: int = getattr(reactions, name)
    return count / reactions.shown


def preference_sentence(found: Preferences) -> str:
    """Which of two settings the users prefer, and how sure that is."""
    option, _, values = found.compared.partition("=")
    a, _, b = values.partition("|")
    decided = found.prefer_a + found.prefer_b
    start = (
        f"{option} {a} (A) with {b} (B), in"
        f" {counted(found.answers, 'answers')} to {counted(found.users, 'users')}:"
        f" {found.prefer_a} prefer A, {found.prefer_b} B,"
        f" {found.users - decided} neither"
    )
    if not decided:
        return start
    share = Share.of(found.prefer_b, decided)
    p = sign_test(found.prefer_a, found.prefer_b)
    return f"{start}; B is preferred by {share}, p = {p:.3f}"
