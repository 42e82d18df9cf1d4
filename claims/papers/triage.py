"""Which papers bear on which claims, how they stand to them, and why: a guess for a person to look at, never a verdict.

All papers are read whole, with an embedder that was tuned on labels, and word by word, for how much of each claim they
say. The best are read sentence by sentence, for the span that is shown. A score is how likely a paper bears on a claim;
its parts, its span and its reason say what made it. A stance is a guess with how sure it is, and "unsure" where that is
not enough. What a person dismissed for a claim lowers what is like it, for that claim alone.
benchmarks/triage/README.md has the figures.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from claims.papers.triage_cues import regime_words
from claims.papers.triage_features import (
    Asked,
    Told,
    Values,
    asked,
    claim_expressions,
    claim_text,
    compared,
    paper_expressions,
    paper_text,
    told,
)
from claims.papers.triage_model import ADAPTER, WEIGHTS, Stance, guess, model
from claims.papers.triage_said import shares_said
from claims.papers.triage_text import LONGEST_TITLE, Reading, read
from claims.papers.triage_words import Taken, because
from kb.embedding import BATCH, Embedder
from kb.passages import LONGEST
from kb.sources.arxiv_record import Record
from kb.types import Matrix
from verifiers.measurement import Value

__all__ = ["MATCHER", "ClaimText", "Lesson", "Match", "Parts", "Stance", "features_of", "match"]

READ_CLOSELY = 150  # papers that are read sentence by sentence: as many as a person would look at, and more
READ_AT_LEAST = 20  # of each claim's best, however many claims there are
MOST_TOPICS = 20
LIKE_A_LESSON = 0.47  # cosine: half of the papers on one claim are as alike, one in a hundred of the others
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
    """Claims and papers, as they were read and as they were compared."""

    claims: list[ClaimText]
    asked: list[Asked]
    readings: list[Reading]
    told: list[Told]
    values: list[list[Values]]  # for each claim a list that follows the papers


class _Judged(NamedTuple):
    """A paper beside a claim, before a sentence of it is looked for."""

    place: int  # among the papers
    score: float
    taken: Taken | None


def unwatched(_done: int, _total: int) -> None:
    """Nobody watches."""


def match(
    claims: Sequence[ClaimText],
    papers: Sequence[Record],
    embedder: Embedder,
    lessons: Mapping[str, Sequence[Lesson]] | None = None,
    report: Callable[[int, int], None] = unwatched,
) -> dict[str, list[tuple[str, Match]]]:
    """Rank all PAPERS for each of CLAIMS, best first: claim id → (arXiv id, match). LESSONS are by claim id; REPORT(read, all)
    follows the whole texts, whose reading takes nearly all of the time.
    """
    tuned = embedder.tuned(ADAPTER)
    seen = _see(claims, papers, embedder, tuned, report)
    rankings = [
        _ranking(seen, number, _learnt((lessons or {}).get(claim.id, ()), tuned)) for number, claim in enumerate(claims)
    ]
    nearest = _nearest(seen, rankings, embedder)
    return {
        claim.id: [(papers[one.place].arxiv, _match(seen, number, one, papers[one.place], nearest)) for one in ranking]
        for number, (claim, ranking) in enumerate(zip(claims, rankings, strict=True))
    }


def features_of(
    claims: Sequence[ClaimText], papers: Sequence[Record], embedder: Embedder, adapter: Path = ADAPTER
) -> dict[tuple[str, str], Values]:
    """What is compared, before any weight: (claim id, arXiv id) → features. For those who fit the weights, and try
    another ADAPTER.
    """
    seen = _see(claims, papers, embedder, embedder.tuned(adapter))
    return {
        (claim.id, paper.arxiv): values
        for claim, beside in zip(claims, seen.values, strict=True)
        for paper, values in zip(papers, beside, strict=True)
    }


# --- reading ---------------------------------------------------------------------------------------------------------


def _see(
    claims: Sequence[ClaimText],
    papers: Sequence[Record],
    embedder: Embedder,
    tuned: Embedder,
    report: Callable[[int, int], None] = unwatched,
) -> _Seen:
    """Read and compare claims and papers, each whole text encoded once by the TUNED embedder."""
    bounded = [_bounded(claim) for claim in claims]
    readings = [read(paper) for paper in papers]
    questions, texts = [claim_text(claim) for claim in bounded], [paper_text(reading) for reading in readings]
    wholes = _encoded([*questions, *texts], tuned, report)
    claims_read = [
        asked(claim, regime_words(claim.contract), wholes[text]) for claim, text in zip(bounded, questions, strict=True)
    ]
    papers_read = [told(reading, wholes[text]) for reading, text in zip(readings, texts, strict=True)]
    shares = shares_said(
        [claim_expressions(one) for one in bounded], [paper_expressions(one) for one in readings], embedder
    )
    return _Seen(bounded, claims_read, readings, papers_read, compared(claims_read, papers_read, shares))


def _bounded(claim: ClaimText) -> ClaimText:
    topics = tuple(topic[:LONGEST_TITLE] for topic in claim.topics[:MOST_TOPICS])
    return claim.model_copy(
        update={"title": claim.title[:LONGEST_TITLE], "body": claim.body[:LONGEST], "topics": topics}
    )


def _encoded(
    texts: Iterable[str], embedder: Embedder, report: Callable[[int, int], None] = unwatched
) -> dict[str, Matrix]:
    """The vector of each text, some at a time, those of one length together."""
    wanted = sorted(dict.fromkeys(texts), key=len)
    vectors: dict[str, Matrix] = {}
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        vectors |= zip(some, embedder.encode(some), strict=True)
        report(len(vectors), len(wanted))
    return vectors


def _nearest(seen: _Seen, rankings: Sequence[Sequence[_Judged]], embedder: Embedder) -> dict[int, list[int]]:
    """By the places of papers that are read closely: for each claim, which sentence is nearest to its title."""
    closely = {place: seen.readings[place].sentences for place in sorted(_closely(rankings))}
    titles = [claim.title for claim in seen.claims]
    vectors = _encoded([*titles, *(text for sentences in closely.values() for text in sentences)], embedder)
    asked_for = np.array([vectors[title] for title in titles])
    return {
        place: (np.array([vectors[text] for text in sentences]) @ asked_for.T).argmax(axis=0).tolist()
        for place, sentences in closely.items()
        if sentences
    }


def _closely(rankings: Sequence[Sequence[_Judged]]) -> set[int]:
    """The papers to be read closely: the best of each claim, rank by rank, until there are enough."""
    places: set[int] = set()
    for depth, rank in enumerate(zip(*rankings, strict=True)):
        if depth >= READ_AT_LEAST and len(places) >= READ_CLOSELY:
            break
        places |= {one.place for one in rank}
    return places


# --- judging ---------------------------------------------------------------------------------------------------------


def _ranking(seen: _Seen, claim: int, learnt: "_Learnt") -> list[_Judged]:
    """All papers beside one claim, best first."""
    judged = []
    for place, values in enumerate(seen.values[claim]):
        taken = learnt.lowers(seen.told[place])
        judged.append(_Judged(place, _share(model().score(values) * (taken.factor if taken else 1.0)), taken))
    return sorted(judged, key=lambda one: (-one.score, seen.readings[one.place].arxiv))


def _match(seen: _Seen, claim: int, judged: _Judged, record: Record, nearest: Mapping[int, Sequence[int]]) -> Match:
    values, reading = seen.values[claim][judged.place], seen.readings[judged.place]
    likely = model().stances(values)
    stance, unread = guess(likely), _why_unread(reading)
    sure = 0.0 if unread else _share(likely[stance])
    sentence = nearest[judged.place][claim] if judged.place in nearest else None
    start, stop = (0, 0) if sentence is None else reading.spans[sentence]
    return Match(
        score=judged.score,
        parts=Parts(
            subject=_share(values["near"]),
            method=_share(values["method"]),
            regime=_share(values["regime"]),
            stance=_share(1 - likely["unrelated"]),
        ),
        span_start=start,
        span_end=stop,
        span=record.abstract[start:stop],
        stance=stance,
        sureness=sure,
        says=stance if not unread and model().speaks(stance, sure) else "unsure",
        reason=because(seen.asked[claim], seen.told[judged.place], values, unread, sentence, judged.taken),
    )


def _why_unread(reading: Reading) -> str:
    """Why nothing is said of a paper's stance; empty where something may be."""
    if not reading.sentences:
        return "there is no abstract"
    return "" if reading.is_english else "its abstract has too few plain English words to guess from"


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 6)


# --- lessons ---------------------------------------------------------------------------------------------------------


class _Learnt(NamedTuple):
    """What was dismissed for one claim, and how it is read, (n, dimension)."""

    lessons: Sequence[Lesson]
    wholes: Matrix

    def lowers(self, paper: Told) -> Taken | None:
        """What the lesson that PAPER is most like takes of its score; None where it is like none."""
        if not self.lessons:
            return None
        alike = self.wholes @ paper.whole
        most = int(alike.argmax())
        excess = (float(alike[most]) - LIKE_A_LESSON) / (1 - LIKE_A_LESSON)
        lesson = self.lessons[most]
        return Taken(lesson.title, lesson.reason, 1 - LESSON_TAKES * min(1.0, excess)) if excess > 0 else None


def _learnt(lessons: Sequence[Lesson], tuned: Embedder) -> _Learnt:
    texts = [paper_text(read(lesson)) for lesson in lessons]
    return _Learnt(lessons, tuned.encode(texts) if texts else np.zeros((0, 1), dtype=np.float32))


# --- what made it ----------------------------------------------------------------------------------------------------


def _digest() -> str:
    """The digest of everything that makes a match: the weights, and the code that reads and compares."""
    here = Path(__file__)
    made_by = [WEIGHTS, ADAPTER, *sorted(here.parent.glob("triage*.py"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in made_by)).hexdigest()[:16]


MATCHER = _digest()
