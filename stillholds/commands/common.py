"""What commands share: how they end, their options, and the ways to a library. Only typer is imported at the top; a
command loads what it needs when it runs.
"""

import sys
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from claims.runs import Means
    from kb.embedding import Embedder
    from kb.location import Location
    from kb.store import Store


class ExitCode(IntEnum):
    """What a script learns from how a command ends."""

    OK = 0
    FAILED = 1  # it could not be done; the reason stands on stderr
    USAGE = 2  # the command line was not understood
    GATE = 3  # `verify`, `check`, `ground`: what --fail-on names came out; `replay`: the run does not come out again
    PARTLY = 4  # `import`: some pages were refused, the others are in
    BROKEN = 5  # `audit`: the ledger does not agree with itself
    INTERRUPTED = 130


def slugs(incomplete: str) -> list[str]:
    """Complete the slug of a claim from the library that is in use; silent when there is none."""
    try:
        from kb.read import cards

        with open_store(None).reading() as session:
            return [card.slug for card in cards(session, "claim") if card.slug.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a shell that completes must never print a traceback
        return []


def verifier_names(incomplete: str) -> list[str]:
    """Complete the name of a verifier."""
    from verifiers.registry import verifiers

    return [name for name in verifiers() if name.startswith(incomplete)]


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="The library: a path, or postgresql://USER@HOST/DATABASE. Else STILLHOLDS_STORE, else ./library.db.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
ProfileOption = Annotated[
    str,
    typer.Option(
        help="smoke (only shows that the pipeline works), standard, or thorough (more units).",
        autocompletion=lambda: ["smoke", "standard", "thorough"],
    ),
]
ProcessesOption = Annotated[
    int | None, typer.Option(min=1, help="Processes that share the work; default: one a core. Never changes a result.")
]
ClaimsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="CLAIM...", help="Slugs of claims.", autocompletion=slugs, show_default=False),
]


def location_of(option: str | None) -> "Location":
    """Where the library is that was asked for."""
    import os

    from kb.location import location_from

    return location_from(option, os.environ)


def open_store(option: str | None, *, read_only: bool = False) -> "Store":
    """The library that was asked for, as it is."""
    from kb.store import Store

    return Store.open(location_of(option), read_only=read_only)


def now() -> Any:
    """The time, in UTC: read here and nowhere below."""
    from datetime import UTC, datetime

    return datetime.now(UTC)


def means_for(processes: int | None) -> "Means":
    """What a run may use of this machine."""
    import os

    from claims.runs import Means
    from claims.worker import cache_folder

    return Means(clock=now, processes=processes or os.cpu_count() or 1, cache=str(cache_folder()))


def bury(store: "Store") -> None:
    """Record runs whose process died, where the store lets us; reading shows them as ERROR anyway."""
    from claims import runs
    from kb.errors import StoreError

    if not store.read_only:
        try:
            runs.bury(store, now())
        except StoreError:
            return


def embed_new(store: "Store") -> None:
    """Embed what is new; loading the model takes seconds, so only if there is something."""
    from kb import embedding

    if embedding.due(store, embedding.PINNED):
        embed(store)


def embed(store: "Store") -> "Embedder | None":
    """The embedding model, with everything that was due embedded; None where the weights are missing, which is said."""
    from kb import embedding
    from kb.errors import StoreError
    from stillholds import console

    try:
        embedder = embedding.load()
    except embedding.WeightsMissing as error:
        console.notes().print(f"Searching by words alone: {error}")
        return None
    try:
        with console.texts_progress("embedding") as report:
            embedding.embed_due(store, embedder, report)
    except StoreError as error:
        console.notes().print(f"New text could not be embedded and is found by its words only: {error}")
    return embedder


def answer(value: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    """Print VALUE as JSON for programs, or SHOW it to people."""
    from stillholds import console

    if as_json:
        import json

        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        show(console.out())


def end_by(outcomes: Any, gate: frozenset[str]) -> None:
    """A gate that was met is what a script asked for; short of that, a run without a measurement is a failure."""
    words = {outcome.verdict for outcome in outcomes}
    if words & gate:
        raise typer.Exit(ExitCode.GATE)
    if "ERROR" in words:
        raise typer.Exit(ExitCode.FAILED)
