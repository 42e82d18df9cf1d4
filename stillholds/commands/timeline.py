"""What was, and what to do about it: a claim's history, what changed between dates, gates, feeds, and what people say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillholds.commands.common import (
    ExitCode,
    JsonOption,
    StoreOption,
    answer,
    bury,
    now,
    open_store,
    slugs,
)

if TYPE_CHECKING:
    from kb.store import Store

ClaimArgument = Annotated[str, typer.Argument(metavar="CLAIM", help="The slug of a claim.", autocompletion=slugs)]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        help="As it was then: 2026-11-21 (its end, in UTC), or 2026-11-21T14:30.",
        show_default=False,
    ),
]
WhoOption = Annotated[
    str | None, typer.Option(help="Who says so; default: the name you are logged in by.", show_default=False)
]
ReasonOption = Annotated[str, typer.Option(help="Why: it goes into the ledger for good.")]


# --- questions -------------------------------------------------------------------------------------------------------


def history(
    claim: ClaimArgument, as_of: AsOfOption = None, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """Show all that ever happened to a claim: contracts, runs with their verdicts, attempts that failed, replays, what
    people said, and every change of standing with the interval before and after.

    JSON: slug, title, as_of, contract_version, standing, freshness, decision, retired, due_because, events (the ledger,
    entry by entry), runs (newest first), flips (axis, was, now, at, why, run, before, after).
    """
    from claims import overview
    from kb import read
    from stillholds import console, moments, present

    then = moments.option(as_of, "--as-of") if as_of else None
    opened = open_store(store)
    bury(opened)
    with opened.reading() as session:
        entity = read.find(session, claim, "claim")
        found = overview.record(session, entity.id, now(), then)
        card = read.card(entity)
    answer(present.history(card, found, then), as_json, lambda _: console.history(card, found, then))


def diff(
    since: Annotated[str, typer.Argument(metavar="DATE", help="From the beginning of this day, in UTC; or a time.")],
    until: Annotated[str, typer.Argument(metavar="DATE", help="To the end of this day, in UTC; or a time.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which claims changed their standing between two dates, why, the intervals before and after, and what leans
    on them through any number of steps.

    JSON: since, until, changes (slug, title, came_back, before, after, flips, leaning), new, same.
    """
    from claims import timeline
    from stillholds import console, moments, present

    first, last = moments.option(since, "DATE", end=False), moments.option(until, "DATE")
    opened = open_store(store)
    bury(opened)
    with opened.reading() as session:
        found = timeline.difference(session, first, last)
    answer(present.difference(found), as_json, lambda _: console.difference(found))


def check(
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="End with code 3 if a claim has one of these: a standing (refuted, contested, weakened, open, untested, …), "
            "what was found at another scale (not-reproduced, reproduced-smaller, …), due, stale, or changed. "
            "Default: refuted,contested.",
            show_default=False,
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a JUnit file too, one case a claim.", dir_okay=False, show_default=False
        ),
    ] = None,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check what stands, without running anything: a gate over the whole library for scripts and continuous integration.

    JSON: store, as_of, head (of the ledger), gate, passed, claims (those of `claims --json`, and met: the words of the
    gate that a claim has).
    """
    from claims import overview, timeline
    from stillholds import console, gates, moments, present
    from stillholds import junit as junit_file

    try:
        words = gates.gate(fail_on)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fail-on") from error
    then = moments.option(as_of, "--as-of") if as_of else None
    opened = open_store(store, read_only=True)
    with opened.reading() as session:
        rows = timeline.rows(session, then) if then else overview.rows(session, now())
        head = timeline.head(session)
    found = gates.checked(rows, words)
    about = {"store": str(opened.location), "as_of": (then or now()).isoformat(timespec="seconds"), "head": head}
    if junit is not None:
        cases = [gates.case(one, _name_of(opened)) for one in found]
        named = {name.replace("_", "-"): value for name, value in about.items()}
        junit_file.write(junit, cases, named | {"gate": ",".join(sorted(map(gates.spelled, words)))})
    answer(present.checked(found, words, about), as_json, lambda _: console.checked(found, words))
    if any(one.met for one in found):
        raise typer.Exit(ExitCode.GATE)


def _name_of(store: "Store") -> str:
    """What a library is called in a report: its file without the ending, or its database."""
    path = store.location.path
    return path.stem if path else str(store.location).rpartition("/")[2]


def feeds(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to; made if it is not there.", file_okay=False)
    ],
    address: Annotated[
        str, typer.Option(metavar="URL", help="Where the app is, for the links in the feeds.")
    ] = "http://127.0.0.1:8501",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the feeds: changes of standing (changes.atom) and due dates (due.ics). The app serves the same at
    /feeds/changes.atom and /feeds/due.ics.
    """
    from stillholds import feeds as made
    from stillholds import junit

    with open_store(store, read_only=True).reading() as session:
        files = {folder / name: made.made(session, name, now(), address) for name in made.TYPES}
    for path, content in files.items():
        junit.replace(path, content)
    said = [str(path) for path in files]
    answer({"written": said}, as_json, lambda out: out.print(*said, sep="\n"))


# --- what people say -------------------------------------------------------------------------------------------------


def decide(
    claim: ClaimArgument,
    word: Annotated[str, typer.Argument(metavar="WORD", help="holds, weakened or refuted.")],
    source: Annotated[str, typer.Option(help="What it rests on: a paper, a page, a measurement elsewhere.")],
    reason: ReasonOption,
    who: WhoOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record a person's decision on a claim that no run can test, with its source. Where there is a contract, runs decide."""
    from typing import cast, get_args

    from claims import acts
    from claims.ledger import DecidedWord

    said = word.strip().upper()
    if said not in get_args(DecidedWord):
        raise typer.BadParameter(f"{word!r} is no decision: holds, weakened or refuted", param_hint="WORD")
    slug = acts.decide(open_store(store), claim, cast(DecidedWord, said), source, reason, who_says(who), now())
    _done(slug, "decision", f"The decision on {slug} is in the ledger.", as_json)


def retire(
    claim: ClaimArgument,
    reason: ReasonOption,
    wakes_on: Annotated[str, typer.Option(help="What would bring it back.")],
    who: WhoOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a claim out of re-testing. Its standing stays as it is; it is never due."""
    from claims import acts

    slug = acts.retire(open_store(store), claim, reason, wakes_on, who_says(who), now())
    _done(slug, "retired", f"{slug} is retired; `stillholds wake {slug}` brings it back.", as_json)


def wake(
    claim: ClaimArgument,
    reason: ReasonOption,
    who: WhoOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a retired claim back; it is due at once."""
    from claims import acts

    slug = acts.wake(open_store(store), claim, reason, who_says(who), now())
    _done(slug, "woken", f"{slug} is back, and due.", as_json)


def due_now(
    claim: ClaimArgument,
    reason: ReasonOption,
    who: WhoOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a claim should be tested again before its shelf life is over; the next run that is evidence answers it."""
    from claims import acts

    slug = acts.make_due(open_store(store), claim, reason, who_says(who), now())
    _done(slug, "due", f"{slug} is due.", as_json)


def who_says(said: str | None) -> str:
    """Who acts: whom --who names, else whose process this is. What goes into the ledger needs a name, where a queue makes
    do without.
    """
    import getpass

    if said is not None:
        return said
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise typer.BadParameter("this machine has no name for you: say --who NAME", param_hint="--who") from None


def _done(slug: str, kind: str, words: str, as_json: bool) -> None:
    def show(out: Any) -> None:
        out.print(words, soft_wrap=True)

    answer({"claim": slug, "recorded": kind}, as_json, show)
