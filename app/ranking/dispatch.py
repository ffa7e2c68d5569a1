"""One line for all questions: which of the services answers which."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, TypeGuard, cast

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.errors import AppError, InconclusiveError
from app.query.query import NeighbourQuestion, Question, SkillQuestion
from app.query.result import Answer, SkillAnswer
from app.ranking.item_to_item import Neighbours
from app.ranking.similarity import Recommender
from app.ranking.skills.ranker import SkillRanker

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
    """Hands each group of questions, whose `batch_key` is one, to its service."""

    def __init__(
        self, recommender: Recommender, ranker: SkillRanker, neighbours: Neighbours
    ) -> None:
        self._recommender = recommender
        self._ranker = ranker
        self._neighbours = neighbours

    def answer_all(
        self, questions: Sequence[AnyQuestion], scope: BatchScope
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


class TwoLines:
    """Sends each question to the line of its kind."""

    def __init__(self, looks: Passes, scans: Passes) -> None:
        self._looks = looks
        self._scans = scans

    @property
    def waiting(self) -> int:
        """Questions in both lines."""
        return self._looks.waiting + self._scans.waiting

    async def ask(self, question: AnyQuestion, deadline: Deadline) -> AnyAnswer:
        """As `Batcher.ask`."""
        (outcome,) = await self.ask_all([question], deadline)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome

    async def ask_all(
        self, questions: Sequence[AnyQuestion], deadline: Deadline
    ) -> Sequence[AnyAnswer | AppError]:
        """As `Batcher.ask_all`: the questions are of one kind. Several stay
        together in the line whose passes are large.
        """
        question = questions[0]
        if len(questions) > 1 or not _asks_index(question):
            return await self._scans.ask_all(questions, deadline)
        quickly = await self._looks.ask_all([replace(question, shallow=True)], deadline)
        if isinstance(quickly[0], InconclusiveError):
            return await self._looks.ask_all(questions, deadline)
        return quickly

    def close(self) -> None:
        """As `Batcher.close`, both."""
        self._looks.close()
        self._scans.close()


def _asks_index(
    question: AnyQuestion,
) -> TypeGuard[Question | NeighbourQuestion]:
    if isinstance(question, Question):
        return not question.exact
    return isinstance(question, NeighbourQuestion) and not question.finds_users
