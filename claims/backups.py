"""Copies that prove themselves: a copy is kept only when its whole ledger was recomputed from it, and put back only then."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlmodel import Session, select

from claims import library, service
from claims.audit import Audit, audit
from claims.errors import CannotKeep, WorkerRuns
from kb import backup
from kb.errors import StoreError
from kb.location import Location
from kb.models import DocumentVersion, LedgerEntry, Library
from kb.store import Store
from verifiers.measurement import Value

SERVED = "a worker serves {place}: end it, and the app if that keeps it, and do it again"
LONG_AGO = datetime.fromtimestamp(0, UTC)  # for a copy, which has its identity and asks for no time


class Compared(Value):
    """A copy beside a library: what each has and the other has not."""

    is_same_library: bool
    entries_only_in_copy: int
    entries_only_in_library: int
    pages_only_in_library: int  # versions of pages

    @property
    def is_beginning(self) -> bool:
        """Whether the library is what the copy was, or has become so since."""
        return self.is_same_library and not self.entries_only_in_copy

    @property
    def would_lose(self) -> bool:
        """Whether the library has something that putting the copy in its place would take away."""
        return bool(self.entries_only_in_library or self.pages_only_in_library)


# --- making ----------------------------------------------------------------------------------------------------------


def make(store: Store, file: Path, *, force: bool = False) -> Audit:
    """Copy a library into FILE while others write, and prove the copy before it has that name.

    Raises:
        CannotKeep: when FILE is there already and may not be replaced, or the copy does not agree with itself.
        StoreError: when there is no room, or no way to write there.
    """
    if file.exists() and not force:
        raise CannotKeep(f"{file} is there already: choose another name, or say --force to replace it")
    if file.exists() and store.location.path is not None and file.samefile(store.location.path):
        raise CannotKeep(f"{file} is the library itself")
    with backup.partial(file) as unfinished:
        backup.write_copy(store, unfinished)
        return prove(unfinished, file)


def prove(file: Path, name: Path | None = None) -> Audit:
    """Recompute everything that a copy says, from the copy.

    Raises:
        CannotKeep: with the first thing that does not agree.
    """
    name = name or file
    if wrong := backup.unsound(file):
        raise CannotKeep(f"{name} is no good copy: {wrong}")
    with opened(file) as copy:
        found = audit(copy)
    if found.problems:
        first = found.problems[0]
        raise CannotKeep(
            f"{name} is no good copy: {first.where}: {first.what}; `stillholds audit` says whether the library agrees with itself"
        )
    return found


@contextmanager
def opened(file: Path) -> Iterator[Store]:
    """A copy as a library of this version, read-only; one of an older version is upgraded aside.

    Raises:
        StoreError: when it is no library, or a newer one.
    """
    if not file.is_file():
        raise StoreError(f"there is no file {file}")
    if not backup.is_older(file):
        yield Store.open(file, read_only=True)
        return
    with tempfile.TemporaryDirectory(prefix="stillholds-copy-") as folder:
        aside = Path(folder) / "library.db"
        backup.new_file(file, aside)
        yield library.create(aside, LONG_AGO)


# --- comparing -------------------------------------------------------------------------------------------------------


def compare(file: Path, store: Store) -> Compared:
    """Lay a copy beside a library."""
    with opened(file) as copy, copy.reading() as ours, store.reading() as theirs:
        return _compared(ours, theirs)


def _compared(copy: Session, library: Session) -> Compared:
    ours, theirs = _held(copy), _held(library)
    return Compared(
        is_same_library=ours.library == theirs.library,
        entries_only_in_copy=len(ours.entries - theirs.entries),
        entries_only_in_library=len(theirs.entries - ours.entries),
        pages_only_in_library=len(theirs.pages - ours.pages),
    )


class _Held(NamedTuple):
    """What a library holds, by what names it."""

    library: str | None
    entries: frozenset[tuple[str, int, str]]
    pages: frozenset[str]  # versions


def _held(session: Session) -> _Held:
    entries = session.exec(select(LedgerEntry.claim_id, LedgerEntry.seq, LedgerEntry.digest))
    return _Held(
        library=session.exec(select(Library.id)).first(),
        entries=frozenset((claim, seq, digest) for claim, seq, digest in entries),
        pages=frozenset(session.exec(select(DocumentVersion.id))),
    )


# --- putting back ----------------------------------------------------------------------------------------------------


def restore(file: Path, place: Location, now: datetime, *, force: bool = False) -> Audit:
    """Put a copy in the place of a library, or where there is none: as a whole, or not at all. Whoever reads meanwhile
    sees the one or the other.

    Raises:
        CannotKeep: when the copy is no good, when the library has what the copy lacks and FORCE is not said, or when a
            worker serves it.
        StoreError: when the library cannot be read or written.
    """
    found = prove(file)
    if place.path is not None and not place.path.exists():
        with opened(file) as copy:
            backup.new_file(copy.path, place.path)
        return found
    store = _target(file, place, force=force)
    if store is None:
        return found
    with _nobody_serving(store), opened(file) as copy, copy.reading() as source, store.writing() as target:
        if place.path is None and service.living(target, now):
            raise CannotKeep(SERVED.format(place=place))
        _refuse_to_lose(_compared(source, target), file, place, force=force)
        backup.load(source, target)
    return found


def _target(file: Path, place: Location, *, force: bool) -> Store | None:
    """The library to write over; None when it was past reading, and a new file took its place."""
    try:
        store = Store.create(place) if place.path is None else Store.open(place)
        if place.path is not None and (wrong := backup.unsound(place.path)):
            raise StoreError(f"{place}: {wrong}")
    except StoreError as error:
        if place.path is None or error.passing:
            raise
        if not force:
            raise CannotKeep(f"{error}. --force puts the copy in its place, whatever it holds") from error
        with _nobody_serving(Store(place)), opened(file) as copy:
            backup.new_file(copy.path, place.path)
        return None
    return store


def _refuse_to_lose(compared: Compared, file: Path, place: Location, *, force: bool) -> None:
    if compared.would_lose and not force:
        raise CannotKeep(
            f"{place} has {compared.entries_only_in_library} entries and {compared.pages_only_in_library} versions of pages "
            f"that {file} has not: make a copy of it first (`stillholds backup`), then say --force"
        )


@contextmanager
def _nobody_serving(store: Store) -> Iterator[None]:
    """While no worker serves a library."""
    try:
        with service.alone(store):
            yield
    except WorkerRuns:
        raise CannotKeep(SERVED.format(place=store.location)) from None


def told(found: Audit) -> dict[str, Any]:
    """What a copy proved, for programs."""
    return {name: getattr(found, name) for name in ("claims", "entries", "verdicts", "checkpoints", "head")}
