"""Prepare the queries of a batch, and group them into scans."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from app.errors import AppError, InvalidInputError, JobNotFoundError, UserNotFoundError
from app.query import cursor
from app.query.constraints import CursorPosition
from app.query.feedback import Taste
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Parts, Result, Timings
from app.ranking.skills.parse import Skill
from app.ranking.skills.prose import AskedSkills
from app.ranking.skills.ranking_state import RankingState, read_state
from app.ranking.skills.scoring import LENGTH_PENALTY
from app.ranking.taste import Pull
from app.ranking.top_k.pages import Page
from app.storage.skills import SkilledRow

# Distinct skills per scan: each takes 4 bytes per skill of the vocabulary.
SCAN_SKILLS = 32


@dataclass(frozen=True)
class SkillQuery:
    """A prepared query."""

    text: str
    read: AskedSkills
    # (dimension,), of the text, where it is stored
    embedding: NDArray[np.float32] | None
    query_hash: bytes  # of the query's cursors
    # What the page before ranked by, how much each skill counts for one: new counts
    # must not reorder what is half read.
    state: RankingState | None = None
    # The jobs that are left out because of the user's feedback.
    left_out: Sequence[Id] = ()
    # What else that feedback does, of events up to `as_of`.
    pull: Pull | None = None
    is_textless: bool = False
    as_of: int = 0
    # (k,): how much more its skills count because of it; None: as before.
    favours: NDArray[np.float64] | None = None

    @property
    def skills(self) -> Sequence[Skill]:
        """All that it asks for."""
        return self.read.skills

    @property
    def factors(self) -> NDArray[np.float64]:
        """(k,): of the weights of the skills."""
        factors = self.read.factors
        return factors if self.favours is None else factors * self.favours

    def moved(self, profile: NDArray[np.float32]) -> NDArray[np.float32]:
        """(dimension,): the vector of the text after the feedback."""
        return profile if self.pull is None else self.pull.moved(profile)

    def open_share(self, share: float) -> float:
        """The open share of the text, after the feedback."""
        more = 0.0 if self.pull is None else self.pull.share
        return 1 - (1 - share) * (1 - more)

    def reasons(
        self, profile: NDArray[np.float32], rows: Sequence[SkilledRow]
    ) -> Mapping[Id, Id]:
        """As `Pull.reasons`; none without feedback."""
        if self.pull is None:
            return {}
        return self.pull.reasons(None if self.is_textless else profile, rows)


# Whether these values can be the ranking state of a query.
IsState = Callable[[NDArray[np.float64], SkillQuery], bool]


def mentioned_before(query: Query) -> Sequence[int] | None:
    """The skills that its text mentioned on the page before; None on a first page."""
    after = query.constraints.after
    state = None if after is None else read_state(after.ranking_state)
    return None if state is None else state.mentioned


def taste_of(query: Query, row: SkilledRow | None) -> Taste:
    """The user's taste as of the first page."""
    if row is None:
        return Taste()
    after = query.constraints.after
    if after is None:
        return row.feedback.taste()
    state = read_state(after.ranking_state)
    return row.feedback.taste(0 if state is None else state.as_of)


def query_text(
    query: Query, row: SkilledRow | None, pull: Pull | None = None
) -> str | None:
    """The text that a query compares, that of the liked jobs where its row has none;
    None where the row is absent.
    """
    if query.text is not None:
        return query.text
    if row is None:
        return None
    if pull is not None and is_textless(row):
        return pull.text
    return row.skills or ""


def is_textless(row: SkilledRow) -> bool:
    """Whether a row has no text of its own."""
    return not (row.skills or "").strip()


def prepare(
    query: Query,
    row: SkilledRow | None,
    read: AskedSkills,
    *,
    version: str,
    is_state: IsState,
    pull: Pull | None = None,
    as_of: int = 0,
) -> SkillQuery | AppError | None:
    """The prepared query; an error for an absent row or another query's cursor; None if
    there are no skills. `read`: what the query's text asks for.
    """
    if query.text is not None:
        text, embedding = query.text, None
    elif row is not None:
        text = query_text(query, row, pull) or ""
        embedding = pull.profile if pull and is_textless(row) else row.embedding
    elif query.key.source == "job":
        return JobNotFoundError("No job has this job_id.")
    else:
        return UserNotFoundError("No user has this user_id.")
    if not read.skills:
        return None
    id_ = None if row is None else row.id
    digest = None if pull is None else pull.digest
    query_hash = cursor.query_hash(version, id_, text, query.order, digest)
    prepared = SkillQuery(
        text,
        read,
        embedding,
        query_hash,
        left_out=() if row is None else row.feedback.left_out,
        pull=pull,
        is_textless=row is not None and is_textless(row),
        as_of=as_of,
    )
    try:
        return _continued(prepared, query.constraints.after, is_state)
    except InvalidInputError as error:
        return error


def _continued(
    prepared: SkillQuery, after: CursorPosition | None, is_state: IsState
) -> SkillQuery:
    """Add the ranking state of the previous page.

    Raises InvalidInputError for a cursor of another query.
    """
    if after is None:
        return prepared
    cursor.check(after, prepared.query_hash)
    state = read_state(after.ranking_state)
    if (
        state is None
        or list(state.mentioned) != list(prepared.read.mentioned)
        or not is_state(state.values, prepared)
    ):
        raise cursor.wrong_cursor()
    return replace(prepared, state=state)


@dataclass(frozen=True)
class SkillMatches:
    """The results, by the number of the query.

    The rows, best first; (k,) float64 weights of the query's skills; the number of
    compared rows; and the pages and the parts of the scores, by number and id, if the
    rows were ranked.
    """

    rows: dict[int, list[SkilledRow]]
    weights: dict[int, NDArray[np.float64]]
    total: int = 0
    pages: Mapping[int, Page] = field(default_factory=dict)
    parts: Mapping[tuple[int, Id], Parts | None] = field(default_factory=dict)

    def next_cursor(self, number: int) -> str | None:
        """Of the query with this number."""
        page = self.pages.get(number)
        return None if page is None else page.next_cursor


def without_skills(key: BatchKey, timings: Timings) -> Result:
    """The result of a query whose row has no skills."""
    who = "job" if key.source == "job" else "user"
    return Result(
        (),
        0,
        timings,
        message=f"This {who} has no skills to match.",
        lacks_profile=key.source == "profile",
    )


def split_into_scans(
    asked: dict[int, SkillQuery], *, most_skills: int = SCAN_SKILLS
) -> Iterator[list[int]]:
    """Group queries with at most `most_skills` distinct skills each.

    This bounds the memory of a batch; a larger batch reads the stream several times.
    """
    group: list[int] = []
    keys: set[str] = set()
    for number, one in asked.items():
        own = {skill.key for skill in one.skills}
        if group and len(keys | own) > most_skills:
            yield group
            group, keys = [], set()
        group.append(number)
        keys |= own
    if group:
        yield group


def distinct_skills(
    group: Sequence[int],
    asked: dict[int, SkillQuery],
    vectors: dict[str, NDArray[np.float32]],
) -> tuple[NDArray[np.float32], list[NDArray[np.intp]]]:
    """(k, dimension): the distinct skills of these queries; and each one's columns."""
    keys = list(dict.fromkeys(s.key for n in group for s in asked[n].skills))
    column = {key: at for at, key in enumerate(keys)}
    columns = [np.array([column[s.key] for s in asked[n].skills]) for n in group]
    return np.stack([vectors[key] for key in keys]), columns


def length_penalty_of(key: BatchKey) -> float:
    """The length penalty: only for jobs, not for users.

    A job's additional skills are a gap, those of a user are not.
    """
    return LENGTH_PENALTY if key.source == "profile" else 0.0
