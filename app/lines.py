"""Two lines of waiting questions instead of one: SEARCH_BACKEND=pgvector.

A look into an index takes milliseconds and is worth little sharing; a scan takes
seconds and is. In one line the looks would wait for the scans. Nor do they wait for
the few whose look takes many times as long: these leave their pass and come again.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

from app.answers import AnyAnswer, AnyQuestion, Passes
from app.deadline import Deadline
from app.errors import AppError, CrowdedError
from app.neighbours import NeighbourQuestion
from app.questions import Question


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
        """As `SharedPasses.ask`."""
        (outcome,) = await self.ask_all([question], deadline)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome

    async def ask_all(
        self, questions: Sequence[AnyQuestion], deadline: Deadline
    ) -> Sequence[AnyAnswer | AppError]:
        """As `SharedPasses.ask_all`: the questions are of one kind. Several stay
        together in the line whose passes are large.
        """
        question = questions[0]
        if len(questions) > 1 or not _asks_index(question):
            return await self._scans.ask_all(questions, deadline)
        quickly = await self._looks.ask_all([replace(question, quick=True)], deadline)
        if isinstance(quickly[0], CrowdedError):
            return await self._looks.ask_all(questions, deadline)
        return quickly

    def close(self) -> None:
        """As `SharedPasses.close`, both."""
        self._looks.close()
        self._scans.close()


def _asks_index(
    question: AnyQuestion,
) -> TypeGuard[Question | NeighbourQuestion]:
    if isinstance(question, Question):
        return not question.exact
    return isinstance(question, NeighbourQuestion) and not question.finds_users
