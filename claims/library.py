"""Brings pages into a library and their contracts into the ledger: one transaction, all or nothing."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from claims import ledger
from claims.contract import contract_from
from claims.errors import BadContract
from claims.history import refresh
from claims.ledger import ContractSet, digest_of_contract
from kb.errors import PageError
from kb.importer import Refused, Report, put, read_all
from kb.location import Location
from kb.models import Claim, ClaimState, Entity, LedgerEntry, Library
from kb.sources.page import Page
from kb.store import Store


def create(place: Path | Location, now: datetime) -> Store:
    """Open the library at PLACE, made or upgraded where needed; a new one gets its identity here."""
    store = Store.create(place)
    with store.writing() as session:
        if session.exec(select(Library)).first() is None:
            session.add(Library(created_at=now))
        _fold_again(session)
    return store


def _fold_again(session: Session) -> None:
    """Make the cached states that an upgrade threw away."""
    folded = select(ClaimState.claim_id)
    for claim_id in session.exec(
        select(LedgerEntry.claim_id).where(col(LedgerEntry.claim_id).not_in(folded)).distinct()
    ):
        refresh(session, claim_id)


def bring_in(store: Store, paths: list[Path], now: datetime) -> Report:
    """Import the pages below PATHS. A page that cannot be read, or whose contract cannot decide, is refused; the
    others go in.
    """
    files, refused = read_all(paths, check)
    report = Report(refused=refused)
    if files:
        with store.writing() as session:
            put(session, files, now, report)
            report.warnings += record_contracts(session, now)
    return report


def check(page: Page) -> None:
    """Refuse a page whose contract cannot decide.

    Raises:
        PageError: with what the contract lacks.
    """
    if page.contract is None:
        return
    try:
        contract_from(page.contract)
    except BadContract as error:
        raise PageError(f"has a contract that cannot decide: {error}") from error


def record_contracts(session: Session, now: datetime) -> list[Refused]:
    """Write every contract that pages say otherwise than the ledger into its claim's chain, as a new version; return
    those that an older program took and this one does not. They stay as the ledger has them.
    """
    known = set(session.exec(select(ClaimState.claim_id)))
    moved, warnings = [], []
    for claim_id, written in session.exec(select(Claim.id, Claim.contract).order_by(Claim.id)).all():
        if not written and claim_id not in known:
            continue
        try:
            moved += [claim_id] if _record(session, claim_id, written, now) else []
        except BadContract as error:
            slug = session.get_one(Entity, claim_id).slug
            warnings.append(
                Refused(Path(slug), f"has a contract that was accepted once and no longer decides: {error}")
            )
        refresh(session, claim_id)  # a page without a contract may say otherwise why it has none
    if moved:
        ledger.seal(session, moved, now)
    return warnings


def _record(session: Session, claim_id: str, written: Mapping[str, Any] | None, now: datetime) -> bool:
    contract = contract_from(written) if written else None
    versions = [entry.event for entry in ledger.entries(session, claim_id) if isinstance(entry.event, ContractSet)]
    digest = digest_of_contract(contract)
    if versions and versions[-1].contract_digest == digest:
        return False
    said = contract.model_dump(mode="json") if contract else None
    ledger.append(session, claim_id, ContractSet(version=len(versions) + 1, contract=said, contract_digest=digest), now)
    return True
