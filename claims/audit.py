"""Recomputes everything that the ledger claims: digests, chains, seals, every verdict from its measurement, every
standing. It reads what lies on the disk, not what the store would make of it, and goes on after what it cannot read.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from sqlmodel import Session, col, select

from claims import ledger
from claims.certified import covers
from claims.contract import Contract
from claims.history import fold, state_of
from claims.ledger import START, ContractSet, Entry, PaperAttached, RunStarted, VerdictGiven, digest_of_contract
from claims.papers.inbox import became, inbox_of, shown
from claims.runs import Attempt, given
from kb.models import Checkpoint, Claim, ClaimState, Entity, LedgerEntry, Link, MeasurementRecord, Paper, Suggestion
from kb.store import Store
from kb.stored import Row, stored
from verifiers.measurement import Measurement, Value
from verifiers.registry import Certificate

Kind = TypeVar("Kind", Measurement, Certificate)


class Problem(Value):
    """One thing that does not agree, and where."""

    where: str
    what: str


class Audit(Value):
    """What was recomputed, what did not agree (the first first), and the head that a careful keeper writes down
    elsewhere.
    """

    claims: int
    entries: int
    verdicts: int
    checkpoints: int
    head: str
    problems: tuple[Problem, ...]


class _Kept(NamedTuple):
    """What entries name by its digest."""

    measurements: dict[str, Measurement]
    certificates: dict[str, Certificate]


class _Named(NamedTuple):
    """A claim as its entity and its page say it."""

    slug: str
    documentary: str


class _Papers(NamedTuple):
    """What is shown of papers beside claims, by claim."""

    rows: dict[str, list[Suggestion]]
    links: dict[str, list[tuple[str, ...]]]  # arXiv id, label and sentence of those that are drawn


def audit(store: Store) -> Audit:
    """Recompute the whole ledger of a library."""
    with store.reading() as session:
        rows, problems = _rows(session, LedgerEntry, "seq")
        seals, more = _rows(session, Checkpoint, "seq")
        records, still_more = _rows(session, MeasurementRecord, "digest")
        states, and_more = _rows(session, ClaimState, "claim_id")
        suggested, and_still_more = _rows(session, Suggestion, "claim_id")
        problems += more + still_more + and_more + and_still_more + list(_measurement_problems(records))
        papers = _papers(session, suggested)
        claims = {
            key: _Named(slug, documentary)
            for key, slug, documentary in session.exec(
                select(Claim.id, Entity.slug, Claim.documentary).join(Entity, col(Entity.id) == Claim.id)
            )
        }
    kept = _Kept(dict(_read(records, Measurement)), dict(_read(records, Certificate)))
    states_shown = {state.claim_id: state for state in states}
    chains: dict[str, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        chains[row.claim_id].append(row)
    for claim_id in sorted(chains.keys() | states_shown.keys()):
        claim = claims.get(claim_id)
        if claim is None:
            problems.append(Problem(where=f"claim {claim_id}", what="it is gone, and its record is left"))
            continue
        entries, broken = _chain(claim.slug, chains.get(claim_id, []))
        problems += broken or list(_verdict_problems(claim.slug, entries, kept))
        if not broken and not _agrees(states_shown.get(claim_id), claim_id, claim.documentary, entries):
            what = "the standing that is shown is not the one its entries give"
            problems.append(Problem(where=f"claim {claim.slug}", what=what))
        problems += [] if broken else _paper_problems(claim.slug, entries, papers, claim_id)
    for claim_id in sorted((papers.rows.keys() | papers.links.keys()) - chains.keys() - states_shown.keys()):
        problems += _paper_problems(claims[claim_id].slug if claim_id in claims else claim_id, [], papers, claim_id)
    problems += _seal_problems(seals, chains)
    return Audit(
        claims=len(chains),
        entries=len(rows),
        verdicts=sum(row.kind == "verdict" for row in rows),
        checkpoints=len(seals),
        head=seals[-1].digest if seals else START,
        problems=tuple(problems),
    )


def _rows(session: Session, table: type[Row], order: str) -> tuple[list[Row], list[Problem]]:
    """Every row of TABLE that can be read, and what is wrong with any."""
    rows, problems = [], []
    for found in stored(session, table, order):
        if found.row is not None:
            rows.append(found.row)
        if found.wrong:
            problems.append(Problem(where=found.where, what=found.wrong))
    return rows, problems


# --- measurements ----------------------------------------------------------------------------------------------------


def _read(records: Iterable[MeasurementRecord], kind: type[Kind]) -> Iterator[tuple[str, Kind]]:
    for row in records:
        try:
            yield row.digest, kind.model_validate_json(row.body)
        except ValidationError:
            continue  # of another kind; or spoilt, and whoever names it will miss it


def _measurement_problems(records: Iterable[MeasurementRecord]) -> Iterator[Problem]:
    for row in records:
        if hashlib.sha256(row.body.encode()).hexdigest() != row.digest:
            yield Problem(where=f"measurement {row.digest[:12]}", what="its text is not the one that was measured")


# --- one chain -------------------------------------------------------------------------------------------------------


def _chain(name: str, chain: Sequence[LedgerEntry]) -> tuple[list[Entry], list[Problem]]:
    """A claim's entries, and what breaks its chain, if anything does."""
    entries: list[Entry] = []
    previous = START
    for expected, row in enumerate(chain, start=1):
        wrong = _link_problem(row, expected, previous)
        if wrong:
            return entries, [Problem(where=f"claim {name}, entry {row.seq}", what=wrong)]
        entries.append(ledger.entry_of(row))
        previous = row.digest
    return entries, []


def _link_problem(row: LedgerEntry, expected: int, previous: str) -> str:
    if row.seq != expected:
        return f"entry {expected} is missing before it"
    if row.previous != previous:
        return "it does not follow the entry before it"
    if ledger.entry_digest(row) != row.digest:
        return "it is not the entry that was written"
    try:
        return "" if ledger.entry_of(row).event.kind == row.kind else "its kind is not the one that its text says"
    except ValueError:
        return "its text is not one of an entry"


def _verdict_problems(name: str, entries: Sequence[Entry], kept: _Kept) -> Iterator[Problem]:
    """Recompute every contract's digest and every verdict, from what was written before it."""
    contracts: dict[str, Contract | None] = {}
    begun: set[str] = set()
    for entry in entries:
        wrong = ""
        if isinstance(entry.event, ContractSet):
            wrong = _contract_problem(entry.event, contracts)
        elif isinstance(entry.event, RunStarted):
            begun.add(entry.event.run)
        elif isinstance(entry.event, VerdictGiven):
            wrong = _verdict_problem(entry.event, contracts, begun, kept)
        if wrong:
            yield Problem(where=f"claim {name}, entry {entry.seq}", what=wrong)


def _contract_problem(event: ContractSet, contracts: dict[str, Contract | None]) -> str:
    try:
        contract = event.read()
    except ValidationError:
        return "its contract cannot be read"
    contracts[event.contract_digest] = contract
    named = digest_of_contract(contract) == event.contract_digest
    return "" if named else f"its contract is not the one that its digest {event.contract_digest[:12]} names"


def _verdict_problem(event: VerdictGiven, contracts: dict[str, Contract | None], begun: set[str], kept: _Kept) -> str:
    contract, measured = contracts.get(event.contract_digest), kept.measurements.get(event.measurement_digest)
    if measured is None:
        return f"its measurement {event.measurement_digest[:12]} is missing"
    if contract is None or event.run not in begun:
        return "its run or its contract was never written before it"
    if event.certificate is not None:
        # Which one was current then is no question for today's code: a fact like the time, and kept in the library.
        certificate = kept.certificates.get(event.certificate)
        if certificate is None or not covers(certificate, contract, measured):
            return f"the certificate {event.certificate[:12]} that it names is missing, or does not cover it"
    try:
        of = Attempt(event.run, event.number, event.attempt)
        wanted = given(contract, measured, event.measurement_digest, of, event.certificate)
        if event.environment is None:  # written before verdicts said theirs
            wanted = wanted.model_copy(update={"environment": None})
    except (LookupError, ValueError):
        wanted = None  # this contract makes nothing of this measurement
    return "" if wanted == event else "its verdict is not what its contract makes of its measurement"


def _agrees(shown: ClaimState | None, claim_id: str, documentary: str, entries: Sequence[Entry]) -> bool:
    try:
        wanted = state_of(fold(claim_id, documentary, entries))
    except ValidationError:
        return False  # a contract that cannot be read gives no standing
    return shown is not None and shown.model_dump(exclude={"claim_id"}) == wanted


# --- papers beside claims --------------------------------------------------------------------------------------------


def _papers(session: Session, suggested: Iterable[Suggestion]) -> _Papers:
    rows: dict[str, list[Suggestion]] = defaultdict(list)
    for row in suggested:
        rows[row.claim_id].append(row)
    links: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    drawn = select(Link.target_id, Paper.arxiv, Link.label, Link.sentence).join(Paper, col(Paper.id) == Link.source_id)
    for claim_id, *link in session.exec(drawn.where(Link.type == "attached")):
        links[claim_id].append(tuple(map(str, link)))
    return _Papers(rows, links)


def _paper_problems(name: str, entries: Sequence[Entry], papers: _Papers, claim_id: str) -> Iterator[Problem]:
    """Recompute what the inbox shows, and which papers are drawn as attached."""
    stands, rows = inbox_of(entries), papers.rows.get(claim_id, [])
    shows = {row.arxiv: (row.state, row.until) == shown(stands.get(row.arxiv), became(row)) for row in rows}
    for arxiv in sorted(stands.keys() | shows.keys()):
        if not shows.get(arxiv, False):
            what = f"what its inbox shows of arXiv:{arxiv} is not what its entries give"
            yield Problem(where=f"claim {name}", what=what)
    told = [beside.paper.event for beside in stands.values() if beside.paper]
    wanted = [(one.arxiv, one.relation, one.span) for one in told if isinstance(one, PaperAttached)]
    if sorted(wanted) != sorted(papers.links.get(claim_id, [])):
        yield Problem(where=f"claim {name}", what="the papers that are shown as attached are not those of its entries")


# --- seals -----------------------------------------------------------------------------------------------------------


def _seal_problems(seals: Sequence[Checkpoint], chains: dict[str, list[LedgerEntry]]) -> Iterator[Problem]:
    previous, heads = START, dict[str, Any]()
    for expected, seal in enumerate(seals, start=1):
        where = f"checkpoint {seal.seq}"
        if seal.seq != expected or seal.previous != previous:
            yield Problem(where=where, what="a checkpoint before it is missing or another")
            return
        if ledger.checkpoint_digest(seal) != seal.digest:
            yield Problem(where=where, what="it is not the checkpoint that was written")
            return
        try:
            heads |= ledger.heads_of(seal)
        except (ValueError, TypeError, KeyError):
            yield Problem(where=where, what="its text is not one of a checkpoint")
            return
        previous = seal.digest
    for claim_id in sorted(heads.keys() | chains.keys()):
        last = chains[claim_id][-1] if claim_id in chains else None
        if last is None or heads.get(claim_id) != {"seq": last.seq, "digest": last.digest}:
            yield Problem(
                where=f"claim {claim_id}",
                what="its chain does not end where the checkpoints say: entries were cut off, added or lost",
            )
