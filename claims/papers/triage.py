"""Which papers bear on which claims, how they stand to them, and why: a guess for a person to look at, never a verdict.

Of all papers it is found out how much of each claim they say, word by word. The best are read sentence by sentence, and
whole, with an embedder that was tuned on labels. A score is how likely a paper bears on a claim; its parts, its span and
its reason say what made it. A stance is a guess with how sure it is, and "unsure" where that is not enough. What a person
dismissed for a claim lowers what is like it, for that claim alone. benchmarks/triage/README.md has the figures.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from claims.papers.triage_cues import regime_words
from claims.papers.triage_features import (
    Asked,
    Compared,
    Told,
    asked,
    claim_expressions,
    claim_text,
    compared,
    mean_direction,
    paper_expressions,
    paper_text,
    told,
)
from claims.papers.triage_model import ADAPTER, WEIGHTS, Stance, guess, model
from claims.papers.triage_said import shares_said
from claims.papers.triage_text import LONGEST_TITLE, Numbers, Reading, read
from claims.papers.triage_words import Taken, because
from kb.embedding import Embedder
from kb.passages import LONGEST
from kb.sources.arxiv_record import Record
from kb.types import Matrix
from verifiers.measurement import Value

__all__ = ["MATCHER", "ClaimText", "Lesson", "Match", "Parts", "Stance", "features_of", "match"]

READ_AT_MOST = 150  # papers that are read sentence by sentence: encoding is nearly all of the cost
READ_AT_LEAST = 12  # of each claim's best candidates, however many claims there are
MOST_TOPICS = 20
LIKE_A_LESSON = 0.65  # cosine: from there on a paper is like a dismissed one
LESSON_TAKES = 0.6  # of the score of a paper that says the same as a dismissed one

Share = Annotated[float, Field(ge=0, le=1)]


class ClaimText(Value):
    """A claim as triage reads it."""

    id: str
    title: str
    body: str = ""
    topics: tuple[str, ...] = ()
    contract: dict[str, Any] | None = None


class Parts(Value):
    """What a score is made of. Subject: how near the paper is to the claim in meaning, be it in other words; method: whether
    it measures the same quantities by the same procedures; regime: whether it speaks of the same kind of model, training,
    domain and size; stance: how likely it takes one.
    """

    subject: Share
    method: Share
    regime: Share
    stance: Share


class Match(Value):
    """A paper beside a claim. The span is of the paper's abstract; it is empty where no sentence was read."""

    score: Share
    parts: Parts
    span_start: int
    span_end: int
    span: str
    stance: Stance
    sureness: Share
    says: Stance | Literal["unsure"]
    reason: str


class Lesson(Value):
    """A paper that was dismissed for a claim, and why."""

    arxiv: str
    reason: str
    title: str
    abstract: str


class _Seen(NamedTuple):
    """Everything that is compared: claims, and papers both as they were read and as they are compared."""

    claims: list[Asked]
    readings: list[Reading]
    papers: list[Told]
    records: Sequence[Record]
    shares: Numbers  # (claims, papers): how much of each claim each paper says


def match(
    claims: Sequence[ClaimText],
    papers: Sequence[Record],
    embedder: Embedder,
    lessons: Mapping[str, Sequence[Lesson]] | None = None,
) -> dict[str, list[tuple[str, Match]]]:
    """Rank all PAPERS for each of CLAIMS, best first: claim id → (arXiv id, match). LESSONS are by claim id."""
    seen = _see(claims, papers, embedder)
    taught = _Taught(embedder)
    found = {}
    for claim, question, beside in zip(
        claims, seen.claims, compared(seen.claims, seen.papers, seen.shares), strict=True
    ):
        learnt = taught.of((lessons or {}).get(claim.id, ()))
        matches = [
            (reading.arxiv, _match(question, one, paper, reading, record, learnt))
            for one, paper, reading, record in zip(beside, seen.papers, seen.readings, seen.records, strict=True)
        ]
        found[claim.id] = sorted(matches, key=lambda item: (-item[1].score, item[0]))
    return found


def features_of(
    claims: Sequence[ClaimText], papers: Sequence[Record], embedder: Embedder, adapter: Path = ADAPTER
) -> dict[tuple[str, str], Mapping[str, float]]:
    """What is compared, before any weight: (claim id, arXiv id) → features. For those who fit the weights: whatever the
    number of papers, all are read sentence by sentence, and another ADAPTER can be tried.
    """
    seen = _see(claims, papers, embedder, adapter, len(papers))
    return {
        (claim.id, reading.arxiv): one.values
        for claim, beside in zip(claims, compared(seen.claims, seen.papers, seen.shares), strict=True)
        for reading, one in zip(seen.readings, beside, strict=True)
    }


# --- reading ---------------------------------------------------------------------------------------------------------


def _see(
    claims: Sequence[ClaimText],
    papers: Sequence[Record],
    embedder: Embedder,
    adapter: Path = ADAPTER,
    at_most: int = READ_AT_MOST,
) -> _Seen:
    """Read claims and papers, each text encoded once, and the candidates deeply."""
    readings = [read(paper) for paper in papers]
    bounded = [_bounded(claim) for claim in claims]
    shares = shares_said(
        [claim_expressions(one) for one in bounded], [paper_expressions(one) for one in readings], embedder
    )
    deep = _candidates(shares, at_most)
    in_parts = [text for index in deep for text in (readings[index].title, *readings[index].sentences)]
    vectors = _encoded([*(claim.title for claim in bounded), *in_parts], embedder)
    wholes = [paper_text(readings[index]) for index in deep]
    tuned = _encoded([*map(claim_text, bounded), *wholes], embedder.tuned(adapter))
    dimension = max((len(vector) for vector in vectors.values()), default=1)
    return _Seen(
        [asked(claim, regime_words(claim.contract), vectors, tuned) for claim in bounded],
        readings,
        [told(reading, vectors, tuned, index in deep, dimension) for index, reading in enumerate(readings)],
        papers,
        shares,
    )


def _bounded(claim: ClaimText) -> ClaimText:
    topics = tuple(topic[:LONGEST_TITLE] for topic in claim.topics[:MOST_TOPICS])
    return claim.model_copy(
        update={"title": claim.title[:LONGEST_TITLE], "body": claim.body[:LONGEST], "topics": topics}
    )


def _encoded(texts: Iterable[str], embedder: Embedder) -> dict[str, Matrix]:
    wanted = list(dict.fromkeys(texts))
    return dict(zip(wanted, embedder.encode(wanted), strict=True)) if wanted else {}


def _candidates(shares: Numbers, at_most: int) -> set[int]:
    """The papers to read deeply: those that say most of each claim, rank by rank, until there are enough."""
    claims, papers = shares.shape
    if papers <= at_most:
        return set(range(papers))
    rankings = np.argsort(-shares, axis=1, kind="stable")
    deep: set[int] = set()
    for depth in range(papers if claims else 0):
        if depth >= READ_AT_LEAST and len(deep) >= at_most:
            break
        deep |= set(rankings[:, depth].tolist())
    return deep


# --- judging ---------------------------------------------------------------------------------------------------------


def _match(claim: Asked, beside: Compared, paper: Told, reading: Reading, record: Record, learnt: "_Learnt") -> Match:
    values = beside.values
    taken = learnt.lowers(paper)
    score = model().score(values) * (taken.factor if taken else 1.0)
    likely = model().stances(values)
    stance = guess(likely)
    readable = not _why_unread(beside.nearest, reading)
    start, stop = reading.spans[beside.nearest] if beside.nearest is not None else (0, 0)
    parts = Parts(
        subject=_share(values["near"]),
        method=_share(values["method"]),
        regime=_share(values["regime"]),
        stance=_share(1 - likely["unrelated"]),
    )
    sure = _share(likely[stance]) if readable else 0.0
    return Match(
        score=_share(score),
        parts=parts,
        span_start=start,
        span_end=stop,
        span=record.abstract[start:stop],
        stance=stance,
        sureness=sure,
        says=stance if readable and model().speaks(stance, sure) else "unsure",
        reason=because(claim, paper, beside, _why_unread(beside.nearest, reading), taken),
    )


def _why_unread(nearest: int | None, reading: Reading) -> str:
    """Why nothing is said of a paper's stance; empty where something may be."""
    if not reading.sentences:
        return "there is no abstract"
    if nearest is None:
        return "it was not read sentence by sentence: others say more of the claim"
    return "" if reading.is_english else "its abstract has too few plain English words to guess from"


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 6)


# --- lessons ---------------------------------------------------------------------------------------------------------


class _Learnt(NamedTuple):
    """What was dismissed for one claim, and where it points, (n, dimension)."""

    lessons: Sequence[Lesson]
    directions: Matrix

    def lowers(self, paper: Told) -> Taken | None:
        """What the lesson that PAPER is most like takes of its score; None where it is like none."""
        if not self.lessons:
            return None
        alike = self.directions @ paper.gist
        most = int(alike.argmax())
        excess = (float(alike[most]) - LIKE_A_LESSON) / (1 - LIKE_A_LESSON)
        lesson = self.lessons[most]
        return Taken(lesson.title, lesson.reason, 1 - LESSON_TAKES * min(1.0, excess)) if excess > 0 else None


class _Taught:
    """Lessons, each text of them encoded when it is first needed."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def of(self, lessons: Sequence[Lesson]) -> _Learnt:
        directions = [self._direction(lesson) for lesson in lessons]
        return _Learnt(lessons, np.array(directions))

    def _direction(self, lesson: Lesson) -> Matrix:
        reading = read(lesson)
        return mean_direction(self._embedder.encode([reading.title, *reading.sentences]))


# --- what made it ----------------------------------------------------------------------------------------------------


def _digest() -> str:
    """The digest of everything that makes a match: the weights, and the code that reads and compares."""
    here = Path(__file__)
    made_by = [WEIGHTS, ADAPTER, *sorted(here.parent.glob("triage*.py"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in made_by)).hexdigest()[:16]


MATCHER = _digest()
