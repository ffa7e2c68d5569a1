"""Which line a question waits in, and how one comes again that was not shallow."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from app.batching.batcher import Batcher, BatchScope
from app.deadline import Deadline
from app.errors import AppError, InconclusiveError
from app.query.query import NeighbourQuestion, Question
from app.query.result import Answer, Timings
from app.ranking.dispatch import AnyAnswer, AnyQuestion, TwoLines

Line = Batcher[AnyQuestion, AnyAnswer]

SIMILAR_TO_MANY = NeighbourQuestion(top_n=3, job_id="one of hundreds of equal texts")
FITTING_MANY = Question(top_n=1, skills="a text that hundreds of jobs have")
INCONCLUSIVE = (FITTING_MANY, SIMILAR_TO_MANY)
PLAIN = Question(top_n=2, skills="another")


def answer_to(question: AnyQuestion) -> Answer:
    return Answer((), question.top_n, 0, Timings(0.0, 0.0))


class Service:
    """Takes its time for inconclusive questions: until `go_on` is set."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.passes: list[Sequence[AnyQuestion]] = []

    def run(
        self, questions: Sequence[AnyQuestion], _: BatchScope
    ) -> list[AnyAnswer | AppError]:
        self.passes.append(questions)
        return [self._one(question) for question in questions]

    def _one(self, question: AnyQuestion) -> AnyAnswer | AppError:
        if question in [replace(each, shallow=True) for each in INCONCLUSIVE]:
            return InconclusiveError()
        if question in INCONCLUSIVE:
            assert self.go_on.wait(10)
        return answer_to(question)


def two_lines(service: Service, stack: ExitStack, *, looks: int = 1) -> TwoLines:
    return TwoLines(line(service, stack, threads=looks), line(service, stack))


def line(service: Service, stack: ExitStack, *, threads: int = 1) -> Line:
    passes: Line = Batcher(service.run, threads=threads)
    return stack.enter_context(closing(passes))


@pytest.mark.parametrize("long", INCONCLUSIVE, ids=["user", "similar jobs"])
def test_who_shares_a_pass_with_a_long_search_does_not_wait_for_it(
    long: AnyQuestion,
) -> None:
    service = Service()

    async def ask() -> tuple[AnyAnswer, AnyAnswer]:
        deadline = Deadline.after(10)
        inconclusive = asyncio.create_task(lines.ask(long, deadline))
        plain = await lines.ask(PLAIN, deadline)
        assert not inconclusive.done()
        service.go_on.set()
        return await inconclusive, plain

    with ExitStack() as stack:
        lines = two_lines(service, stack, looks=2)
        answers = asyncio.run(ask())
    assert answers == (answer_to(long), answer_to(PLAIN))
    assert service.passes[-1] == [long]


def test_several_questions_of_a_request_stay_together_and_take_their_time() -> None:
    service = Service()
    service.go_on.set()
    asked = [FITTING_MANY, PLAIN]
    with ExitStack() as stack:
        lines = two_lines(service, stack)
        answers = asyncio.run(lines.ask_all(asked, Deadline.after(10)))
    assert answers == [answer_to(FITTING_MANY), answer_to(PLAIN)]
    assert service.passes == [asked]
