"""One line for all questions: which of the services answers which."""

from collections.abc import Sequence
from typing import Protocol, cast

from app.deadline import Deadline
from app.errors import AppError
from app.match.questions import SkillAnswer, SkillQuestion
from app.match.ranker import SkillRanker
from app.neighbours import NeighbourQuestion, Neighbours
from app.questions import Answer, Question
from app.recommend import Recommender
from app.scan.passes import PassScope

AnyQuestion = Question | SkillQuestion | NeighbourQuestion
AnyAnswer = Answer | SkillAnswer


class Passes(Protocol):
    """Where questions wait for their pass."""

    @property
    def waiting(self) -> int: ...

    async def ask(self, question: AnyQuestion, deadline: Deadline) -> AnyAnswer: ...

    async def ask_all(
        self, questions: Sequence[AnyQuestion], deadline: Deadline
    ) -> Sequence[AnyAnswer | AppError]: ...

    def close(self) -> None: ...


class Answers:
    """Hands each group of questions, whose `pass_key` is one, to its service."""

    def __init__(
        self, recommender: Recommender, ranker: SkillRanker, neighbours: Neighbours
    ) -> None:
        self._recommender = recommender
        self._ranker = ranker
        self._neighbours = neighbours

    def answer_all(
        self, questions: Sequence[AnyQuestion], scope: PassScope
    ) -> Sequence[AnyAnswer | AppError]:
        """As each service's own `answer_all`."""
        first = questions[0]
        if isinstance(first, SkillQuestion):
            return self._ranker.answer_all(
                cast("Sequence[SkillQuestion]", questions), scope
            )
        if isinstance(first, NeighbourQuestion):
            return self._neighbours.answer_all(
                cast("Sequence[NeighbourQuestion]", questions), scope
            )
        return self._recommender.answer_all(
            cast("Sequence[Question]", questions), scope
        )
