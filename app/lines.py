"""Two lines of waiting questions instead of one: SEARCH_BACKEND=pgvector.

A look into an index takes milliseconds and is worth little sharing; a scan takes
seconds and is. In one line the looks would wait for the scans.
"""

from collections.abc import Sequence

from app.answers import AnyAnswer, AnyQuestion, Passes
from app.deadline import Deadline
from app.errors import AppError
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
        line = self._looks if _asks_index(question) else self._scans
        return await line.ask(question, deadline)

    async def ask_all(
        self, questions: Sequence[AnyQuestion], deadline: Deadline
    ) -> Sequence[AnyAnswer | AppError]:
        """As `SharedPasses.ask_all`: the questions are of one kind. Several stay
        together in the line whose passes are large.
        """
        is_look = len(questions) == 1 and _asks_index(questions[0])
        line = self._looks if is_look else self._scans
        return await line.ask_all(questions, deadline)

    def close(self) -> None:
        """As `SharedPasses.close`, both."""
        self._looks.close()
        self._scans.close()


def _asks_index(question: AnyQuestion) -> bool:
    if isinstance(question, Question):
        return not question.exact
    return isinstance(question, NeighbourQuestion) and not question.finds_users
