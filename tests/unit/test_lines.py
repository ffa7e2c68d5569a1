"""Which line a question waits in, and how one comes again that was not quick."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from app.answers import AnyAnswer, AnyQuestion
from app.deadline import Deadline
from app.errors import AppError, CrowdedError
from app.lines import TwoLines
from app.questions import Answer, Question, Timings
from app.scan.passes import PassScope, SharedPasses

Line = SharedPasses[AnyQuestion, AnyAnswer]

CROWDED = Question(top_n=1, skills="a text that hundreds of jobs have")
PLAIN = Question(top_n=2, skills="another")


def answer_to(question: AnyQuestion) -> Answer:
    return Answer((), question.top_n, 0, Timings(0.0, 0.0))


class Service:
    """Takes its time for crowded questions: until `go_on` is set."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.passes: list[Sequence[AnyQuestion]] = []

    def run(
        self, questions: Sequence[AnyQuestion], _: PassScope
    ) -> list[AnyAnswer | AppError]:
        self.passes.append(questions)
        return [self._one(question) for question in questions]

    def _one(self, question: AnyQuestion) -> AnyAnswer | AppError:
        if question == replace(CROWDED, quick=True):
            return CrowdedError("It takes a longer search.")
        if question == CROWDED:
            assert self.go_on.wait(10)
        return answer_to(question)


def two_lines(service: Service, stack: ExitStack, *, looks: int = 1) -> TwoLines:
    return TwoLines(line(service, stack, threads=looks), line(service, stack))


def line(service: Service, stack: ExitStack, *, threads: int = 1) -> Line:
    passes: Line = SharedPasses(service.run, threads=threads)
    return stack.enter_context(closing(passes))


def test_who_shares_a_pass_with_a_long_search_does_not_wait_for_it() -> None:
    service = Service()

    async def ask() -> tuple[AnyAnswer, AnyAnswer]:
        deadline = Deadline.after(10)
        crowded = asyncio.create_task(lines.ask(CROWDED, deadline))
        plain = await lines.ask(PLAIN, deadline)
        assert not crowded.done()
        service.go_on.set()
        return await crowded, plain

    with ExitStack() as stack:
        lines = two_lines(service, stack, looks=2)
        answers = asyncio.run(ask())
    assert answers == (answer_to(CROWDED), answer_to(PLAIN))
    assert service.passes[-1] == [CROWDED]


def test_several_questions_of_a_request_stay_together_and_take_their_time() -> None:
    service = Service()
    service.go_on.set()
    asked = [CROWDED, PLAIN]
    with ExitStack() as stack:
        lines = two_lines(service, stack)
        answers = asyncio.run(lines.ask_all(asked, Deadline.after(10)))
    assert answers == [answer_to(CROWDED), answer_to(PLAIN)]
    assert service.passes == [asked]
