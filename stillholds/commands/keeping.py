"""Keeping a library: copies, and putting one back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillholds.commands.common import JsonOption, StoreOption, answer, location_of, now, open_store

if TYPE_CHECKING:
    from claims.audit import Audit
    from claims.backups import Compared

FileArgument = Annotated[Path, typer.Argument(help="The copy: one file of SQLite.", show_default=False)]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Change nothing: prove the copy, and compare it with the library.")
]


def backup(
    file: FileArgument,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    check: CheckOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the library into FILE while others write, and prove the copy; on PostgreSQL too it is one file of SQLite."""
    from claims import backups

    if check:
        _check(file, store, as_json)
        return
    found = backups.make(open_store(store), file, force=force)
    _tell(file, found, None, as_json)


def restore(
    file: FileArgument,
    force: Annotated[bool, typer.Option("--force", help="Even if the library has what FILE has not.")] = False,
    check: CheckOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove the copy in FILE, and put it in the place of the library as a whole, or where there is none."""
    from claims import backups

    if check:
        _check(file, store, as_json)
        return
    found = backups.restore(file, location_of(store), now(), force=force)
    _tell(file, found, None, as_json)


def _check(file: Path, store: str | None, as_json: bool) -> None:
    from claims import backups
    from kb.store import Store

    found = backups.prove(file)
    place = location_of(store)
    compared = backups.compare(file, open_store(store, read_only=True)) if Store.exists(place) else None
    _tell(file, found, compared, as_json)


def _tell(file: Path, found: "Audit", compared: "Compared | None", as_json: bool) -> None:
    from claims import backups

    value: dict[str, Any] = {"file": str(file), **backups.told(found)}
    if compared is not None:
        value["beside_the_library"] = compared.model_dump() | {"is_beginning": compared.is_beginning}

    def show(out: Any) -> None:
        counts = f"{found.claims} claims, {found.entries} entries, {found.verdicts} verdicts"
        out.print(f"{file} agrees with itself: {counts}, {found.checkpoints} checkpoints. Head: {found.head}")
        if compared is not None:
            out.print(_beside(compared))

    answer(value, as_json, show)


def _beside(compared: "Compared") -> str:
    """How a copy lies to the library."""
    since = f"{compared.entries_only_in_library} entries and {compared.pages_only_in_library} versions of pages"
    if not compared.is_same_library:
        return "It is a copy of another library."
    if not compared.is_beginning:
        return (
            f"It is no beginning of the library: {compared.entries_only_in_copy} of its entries are not in the library, "
            f"which has {since} of its own."
        )
    return (
        f"It is the beginning of the library, which has had {since} since."
        if compared.would_lose
        else "It is the library as it stands."
    )
