"""Interleaved answers: of the settings as they are, A, and with a change, B."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.api.options import Defaults
from app.api.requests import RankingOptions
from app.config import Settings
from app.deadline import Deadline
from app.errors import ConfigError, InvalidInputError
from app.query.interleaving import Alternative
from app.query.query import Query
from app.query.result import Outcome
from app.ranking.dispatch import QueryQueue
from app.ranking.interleaving import Draft
from app.ranking.registry import check_rank_by

BuildQueries = Callable[[Defaults], Sequence[Query]]


@dataclass(frozen=True)
class Comparison:
    """The setting B, and the defaults of requests with it.

    `label`: both values of the option, as exposures store them.
    """

    option: str
    label: str
    defaults: Defaults

    @classmethod
    def of(cls, settings: Settings, defaults: Defaults) -> "Comparison | None":
        """None if the settings name none.

        Raises ConfigError for an unknown ranking, and for what is set already.
        """
        alternative = settings.alternative
        if alternative is None:
            return None
        before, other = _changed(defaults, alternative)
        if other == defaults:
            raise ConfigError(
                f"INTERLEAVE compares the {alternative.option} {before} with itself;"
                " name another value."
            )
        label = f"{alternative.option}={before}|{alternative.value}"
        return cls(alternative.option, label, other)

    def drafts(
        self, body: RankingOptions, queries: Sequence[Query], build: BuildQueries
    ) -> Sequence[Draft]:
        """How to interleave these queries of a request; empty if it names the option
        itself, or B cannot answer it.
        """
        if self.option in body.model_fields_set:
            return ()
        try:
            others = build(self.defaults)
        except InvalidInputError:
            return ()
        drafts = [Draft.of(*pair) for pair in zip(queries, others, strict=True)]
        found = [draft for draft in drafts if draft is not None]
        return found if len(found) == len(queries) else ()


def _changed(defaults: Defaults, alternative: Alternative) -> tuple[str, Defaults]:
    """The value of the option before, and the defaults with the change."""
    if alternative.option == "rank_by":
        setting = "The ranking in INTERLEAVE"
        name = check_rank_by(alternative.value, setting=setting)
        return defaults.rank_by, replace(defaults, rank_by=name)
    before = defaults.variety
    variety = replace(before, diversity=alternative.diversity)
    return f"{before.diversity:g}", replace(defaults, variety=variety)


async def interleaved(
    queue: QueryQueue, drafts: Sequence[Draft], deadline: Deadline
) -> tuple[list[Outcome], list[str]]:
    """The outcome of each draft, and its teams. Raises as the queue does."""
    pairs = [draft.queries() for draft in drafts]
    both = await asyncio.gather(
        *(
            queue.ask_all(list(queries), deadline)
            for queries in zip(*pairs, strict=True)
        )
    )
    pages = [
        draft.page(*outcomes)
        for draft, outcomes in zip(drafts, zip(*both, strict=True), strict=True)
    ]
    return [outcome for outcome, _ in pages], [teams for _, teams in pages]
