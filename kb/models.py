"""The tables: what a library keeps. One page says one thing about each; rules stand as constraints too.

An `Entity` is anything a person can visit; Note, Line, Claim and Paper hold what their kind adds. Links, passages and
keys point at entities. Everything read from pages is a fold over the current page versions (`kb.catalog`), and can be
made again from them; runs, measurements and the ledger are history, and cannot.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, MetaData, Text, UniqueConstraint
from sqlmodel import Field, SQLModel
from ulid import ULID

from kb.types import Float32Vector, Json, UtcDateTime, Vector

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id() -> str:
    """A ULID: the only key that links, JSON and ledger use. Order never comes from it."""
    return str(ULID())


class Table(SQLModel):
    """Base of all tables, with constraint names that a migration can refer to."""

    metadata = MetaData(naming_convention=NAMES)


def _time(*, nullable: bool = False) -> Any:
    return Field(default=None if nullable else ..., sa_type=UtcDateTime, nullable=nullable)


def _json(*, nullable: bool = False) -> Any:
    return Field(default=None if nullable else ..., sa_column=Column(Json, nullable=nullable))


def _long() -> Any:
    return Field(default="", sa_column=Column(Text, nullable=False))


# --- what is said ----------------------------------------------------------------------------------------------------


class Document(Table, table=True):
    """A page by what it defines; its versions are kept for ever, and the newest is what the library says."""

    id: str = Field(default_factory=new_id, primary_key=True)
    key: str = Field(unique=True)  # identity of what it defines, "line:why does …"
    source: str  # where it was read last
    created_at: datetime = _time()


class DocumentVersion(Table, table=True):
    """One text of a page as it was imported, and the page that a reader made of it."""

    __tablename__ = "document_version"
    __table_args__ = (UniqueConstraint("document_id", "number"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    document_id: str = Field(foreign_key="document.id", index=True)
    number: int
    digest: str
    reader: str
    text: str = _long()
    page: Any = _json()
    imported_at: datetime = _time()


class Entity(Table, table=True):
    """Anything a person can visit. `version_id` is the page version that defines it, or names it first."""

    __table_args__ = (CheckConstraint("kind IN ('note', 'line', 'claim', 'paper')", name="kind"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    kind: str = Field(index=True)
    slug: str = Field(unique=True)
    title: str = _long()
    short: str = ""
    is_stub: bool = True  # named somewhere, without a page of its own
    version_id: str | None = Field(default=None, foreign_key="document_version.id")
    created_at: datetime = _time()
    updated_at: datetime = _time()


class EntityKey(Table, table=True):
    """The names under which pages mean an entity: its title, ids, aliases."""

    __tablename__ = "entity_key"

    key: str = Field(primary_key=True)
    entity_id: str = Field(foreign_key="entity.id", index=True)


class SlugRedirect(Table, table=True):
    """A slug that an entity had once."""

    __tablename__ = "slug_redirect"

    slug: str = Field(primary_key=True)
    entity_id: str = Field(foreign_key="entity.id", index=True)


class Dated(SQLModel):
    """A date as fine as its source gave it: the words, and the first and last day they may mean."""

    date_written: str | None = None
    date_earliest: date | None = None
    date_latest: date | None = Field(default=None, index=True)
    date_approximate: bool = False


class Note(Table, Dated, table=True):
    """One finding as a question: its hook, body, and the summary that lines quote it with."""

    id: str = Field(foreign_key="entity.id", primary_key=True)
    hook: str = _long()
    summary: str = _long()
    body: str = _long()
    original_title: str = _long()
    topics: Any = _json()


class Line(Table, Dated, table=True):
    """An inquiring line: a question answered by walking over notes, and its research prompt."""

    id: str = Field(foreign_key="entity.id", primary_key=True)
    hook: str = _long()
    body: str = _long()
    topics: Any = _json()
    prompt: Any = _json(nullable=True)


class Claim(Table, Dated, table=True):
    """A dated statement; its title is the statement. `contract` is what its page says now, kept as data that kb never
    reads.
    """

    id: str = Field(foreign_key="entity.id", primary_key=True)
    body: str = _long()
    topics: Any = _json()
    contract: Any = _json(nullable=True)
    documentary: str = _long()  # why it is not mechanically testable, if so


class Paper(Table, Dated, table=True):
    """A paper, by its arXiv id where one is known; `titles` are all that pages call it."""

    id: str = Field(foreign_key="entity.id", primary_key=True)
    arxiv: str | None = Field(default=None, unique=True)
    titles: Any = _json()
    body: str = _long()


class Link(Table, table=True):
    """A typed link, the sentence that says why, and where it stands in the body of `stands_in`."""

    __table_args__ = (
        CheckConstraint(
            "type IN ('states', 'cites', 'leans_on', 'relates', 'extends', 'contradicts', 'supersedes', 'attached', 'suggested')",
            name="type",
        ),
        CheckConstraint("source_id <> target_id", name="no_loop"),
        Index(None, "source_id", "type"),
        Index(None, "target_id", "type"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    source_id: str = Field(foreign_key="entity.id")
    target_id: str = Field(foreign_key="entity.id")
    type: str
    sentence: str = _long()
    label: str = _long()
    stands_in: str | None = Field(default=None, foreign_key="entity.id")
    start: int | None = None
    end: int | None = None
    mention_start: int | None = None
    mention_end: int | None = None
    weight: float | None = None
    version_id: str | None = Field(default=None, foreign_key="document_version.id")  # the page that draws it
    position: int = 0  # order on that page
    created_at: datetime = _time()


class Passage(Table, table=True):
    """A piece of an entity's text, small enough to be found by its meaning and shown as the reason."""

    __table_args__ = (UniqueConstraint("entity_id", "ordinal"),)

    rowid: int | None = Field(default=None, primary_key=True)  # the full-text index refers to it
    entity_id: str = Field(foreign_key="entity.id")
    ordinal: int
    text: str = _long()
    digest: str = Field(index=True)


class Embedding(Table, table=True):
    """The vector of a text under a model; a changed text or model makes exactly the stale ones due."""

    model_config = {"arbitrary_types_allowed": True}

    model: str = Field(primary_key=True)  # digest of the weights
    digest: str = Field(primary_key=True)  # digest of the text
    vector: Vector = Field(sa_column=Column(Float32Vector, nullable=False))


class TextState(Table, table=True):
    """One row, another token whenever passages or vectors change, so that readers know when to read them again."""

    __tablename__ = "text_state"

    id: int = Field(primary_key=True)
    token: str


# --- what arXiv says -------------------------------------------------------------------------------------------------


class ArxivPaper(Table, table=True):
    """A paper as arXiv describes it now, whether or not the library names it. `arxiv` is the id without a version."""

    __tablename__ = "arxiv_paper"

    arxiv: str = Field(primary_key=True)
    version: int
    title: str = _long()
    authors: Any = _json()
    abstract: str = _long()
    categories: Any = _json()  # the primary one first
    comment: str = _long()
    doi: str = ""
    journal: str = _long()
    published_at: datetime = _time()  # the first version
    updated_at: datetime = _time()  # this one
    is_withdrawn: bool = False
    seen_at: datetime = Field(sa_type=UtcDateTime, index=True)  # when it came here first
    asked_at: datetime = _time()  # when arXiv was asked last


class ArxivEvent(Table, table=True):
    """What happened to a paper, in the order in which it came here."""

    __tablename__ = "arxiv_event"
    __table_args__ = (
        CheckConstraint("kind IN ('new', 'new version', 'withdrawn', 'returned')", name="kind"),
        UniqueConstraint("arxiv", "number"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    arxiv: str = Field(foreign_key="arxiv_paper.arxiv")
    number: int  # of the paper's events, from 1
    kind: str
    version: int
    at: datetime = _time()  # by arXiv
    seen_at: datetime = Field(sa_type=UtcDateTime, index=True)
    is_handed_on: bool = Field(default=False, index=True)  # claims were told; all else here never changes


class ArxivQuery(Table, table=True):
    """A saved query and where it stands. `terms` are data that kb never reads."""

    __tablename__ = "arxiv_query"

    id: str = Field(default_factory=new_id, primary_key=True)
    name: str = Field(unique=True)
    terms: Any = _json()
    is_on: bool = True
    made_by: str
    made_at: datetime = _time()
    reached_at: datetime | None = _time(nullable=True)  # until then everything was seen
    looked_back_at: datetime | None = _time(nullable=True)  # when a pull that looked far back came to its end
    under_way: Any = _json(nullable=True)  # a pull that goes on or was broken off: from, until, how many are in
    pulled_at: datetime | None = _time(nullable=True)  # the last pull that came to its end
    problem: str = _long()  # of the last pull, in words; empty when it ended well


class ArxivFound(Table, table=True):
    """Which query brought which paper."""

    __tablename__ = "arxiv_found"

    query_id: str = Field(foreign_key="arxiv_query.id", primary_key=True)
    arxiv: str = Field(foreign_key="arxiv_paper.arxiv", primary_key=True, index=True)
    found_at: datetime = _time()


class ArxivCheck(Table, table=True):
    """What came of looking up a paper that the library names: its id at arXiv, or, where it has none, papers of the
    same title.
    """

    __tablename__ = "arxiv_check"

    entity_id: str = Field(primary_key=True)
    asked_for: str = _long()  # the id or title, so that another one is looked up anew
    outcome: str  # found, not found, proposed, accepted by a person
    proposals: Any = _json()  # what may be meant, the likeliest first, as data that kb never reads
    checked_at: datetime = _time()


class Suggestion(Table, table=True):
    """A paper beside a claim: how they were matched, and, as a cache of the ledger, what a person made of it."""

    __table_args__ = (
        CheckConstraint("state IN ('new', 'attached', 'dismissed', 'snoozed')", name="state"),
        Index(None, "claim_id", "state"),
    )

    claim_id: str = Field(foreign_key="entity.id", primary_key=True)
    arxiv: str = Field(foreign_key="arxiv_paper.arxiv", primary_key=True, index=True)
    score: float = 0.0
    rank: int = 0  # among what came in the same week for this claim, from 1; 0 for what nobody is asked to read
    match: Any = _json(nullable=True)  # the score's parts, the span, the stance, as data that kb never reads
    matcher: str = ""  # digest of what made them: another one makes them anew
    news: Any = _json(nullable=True)  # what became of it, where the claim rests on it, as data that kb never reads
    state: str = "new"  # of the news, where there are any
    until: datetime | None = _time(nullable=True)  # of a snoozed one
    scored_at: datetime | None = _time(nullable=True)


# --- what happened ---------------------------------------------------------------------------------------------------


class Library(Table, table=True):
    """One row: who this library is. Its id decides which units its runs draw, so that two libraries never draw the
    same.
    """

    id: str = Field(default_factory=new_id, primary_key=True)
    created_at: datetime = _time()


class MeasurementRecord(Table, table=True):
    """A measurement, or the certificate that covers one, as canonical JSON under its digest; kb never reads it."""

    __tablename__ = "measurement"

    digest: str = Field(primary_key=True)
    body: str = _long()


class LedgerEntry(Table, table=True):
    """One event in the life of a claim, chained to the one before it. Never changed, never removed."""

    __tablename__ = "ledger_entry"
    __table_args__ = (UniqueConstraint("claim_id", "seq"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    claim_id: str = Field(foreign_key="entity.id")
    seq: int
    kind: str
    at: datetime = _time()
    body: str = _long()  # canonical JSON
    previous: str  # digest of the claim's entry before this one
    digest: str


class Checkpoint(Table, table=True):
    """A seal over the heads of all chains, chained itself, so that a vanished claim or a cut tail shows."""

    seq: int = Field(primary_key=True)
    at: datetime = _time()
    body: str = _long()
    previous: str
    digest: str


class Run(Table, table=True):
    """An attempt at a run while it lives: who makes it, how far it is. What it found is in the ledger; losing this row
    loses no truth.
    """

    __table_args__ = (
        UniqueConstraint("stream", "number", "attempt"),
        CheckConstraint("state IN ('running', 'measured', 'error')", name="state"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    stream: str  # what it draws units for: verifier, parameters, subject
    number: int
    attempt: int = 1  # the same units again, after an attempt that gave none
    task_id: str | None = Field(default=None, index=True)
    verifier: str
    subject: str
    profile: str
    claims: Any = _json()  # ids
    state: str = "running"
    reason: str = _long()
    host: str
    pid: int
    pid_started: float
    done: int = 0
    total: int = 0
    cpu_seconds: float = 0.0
    cancel: bool = False
    started_at: datetime = _time()
    seen_at: datetime = _time()
    ended_at: datetime | None = _time(nullable=True)


class Task(Table, table=True):
    """A measurement that somebody asked for, from then until it is made or given up: what pages show of the queue."""

    __table_args__ = (CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    job: Any = _json()  # what is to be measured, and for which claims; kb never reads it
    claims: Any = _json()  # ids
    key: str = Field(index=True)  # equal for tasks that would do the same
    cause: str = _long()  # why, in words
    asked_by: str
    state: str = Field(default="queued", index=True)
    reason: str = _long()  # how it ended, if not well
    cancel: bool = False
    worker: str | None = None
    asked_at: datetime = _time()
    begun_at: datetime | None = _time(nullable=True)
    ended_at: datetime | None = _time(nullable=True)


class Worker(Table, table=True):
    """A process that makes runs, as long as it says so."""

    id: str = Field(primary_key=True)
    host: str
    pid: int
    pid_started: float
    version: str
    slots: int
    started_at: datetime = _time()
    seen_at: datetime = _time()


class Schedule(Table, table=True):
    """One row: when claims are tested again without being asked; its settings are data that kb never reads."""

    id: int = Field(default=1, primary_key=True)
    settings: Any = _json()
    changed_at: datetime = _time()
    looked_at: datetime | None = _time(nullable=True)  # when a worker last asked what is due


class ClaimState(Table, table=True):
    """What the ledger says of a claim as of its last entry: a cache that `claims` writes and the audit makes again."""

    __tablename__ = "claim_state"

    claim_id: str = Field(foreign_key="entity.id", primary_key=True)
    seq: int
    standing: str = Field(index=True)
    at_scale: str | None = None
    fresh_until: datetime | None = _time(nullable=True)
    verifier_code: str | None = None  # of the newest run that is evidence
    environment: str | None = None
    waiting: Any = _json(nullable=True)  # why it is due before its time, or retired; None when neither
    last_run_at: datetime | None = _time(nullable=True)
    flips: Any = _json(nullable=True)  # when the words of its standing changed, oldest first
    body: Any = _json()
