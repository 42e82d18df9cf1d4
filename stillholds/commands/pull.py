"""What is new at arXiv: pulling it, and the saved queries. Only typer is imported at the top."""

from typing import TYPE_CHECKING, Annotated

import typer

from stillholds.commands.common import ExitCode, JsonOption, StoreOption, answer, now, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

    from claims.papers.pulled import Pulled
    from claims.papers.queries import Saved
    from kb.store import Store

EXAMPLE = "stillholds queries add entropy --category cs.LG --words 'entropy collapse'"
NOTHING_SAVED = f"""Nothing is saved that could be pulled. For example:
  {EXAMPLE}
  stillholds queries add alike --like SLUG-OF-A-CLAIM
  stillholds queries add named --cited"""

queries_app = typer.Typer(help="What is asked of arXiv when you pull.", invoke_without_command=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name of a saved query.", show_default=False)]


def pull(
    queries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY...", help="Names of saved queries; default: all that are on.", show_default=False
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Look back as far as this day: 2026-10-01. A new query looks back 30 days.",
            show_default=False,
        ),
    ] = None,
    scheduled: Annotated[bool, typer.Option("--scheduled", help="Only what is due.", hidden=True)] = False,
    leash: Annotated[bool, typer.Option("--leash", help="End when the standard input does.", hidden=True)] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask arXiv what is new for the saved queries, and once a day what became of the papers that this library names. It
    may be broken off at any time, and goes on where it was. Three seconds lie between two questions, for all processes
    of your account together.

    JSON: a list, one entry a query: name, state (done, failed, interrupted, not asked), asks, found (papers that this
    query had not brought before), new (to the library), new_versions, withdrawn, returned, answers, reached_at (until
    then everything was seen), problem, resume_at, notes.
    """
    from claims import timetable
    from stillholds import moments

    first = moments.option(since, "--since", end=False) if since else None
    if first and first > now():
        raise typer.BadParameter("that day is still to come", param_hint="--since")
    opened = open_store(store)
    if leash:
        _end_with_input()
    names = timetable.to_pull(opened, now()) if scheduled else queries or None
    if scheduled and not names:
        return
    done = _pulled(opened, names, first)
    answer([one.model_dump(mode="json") for one in done], as_json, lambda out: _summary(out, done))
    if any(one.state in {"failed", "not asked"} for one in done):
        raise typer.Exit(ExitCode.FAILED)


def _pulled(store: "Store", names: "Sequence[str] | None", since: "datetime | None") -> "list[Pulled]":
    from claims.papers import pull as pulling
    from claims.papers.pulled import Means
    from kb.sources.arxiv import Arxiv
    from stillholds.pulling import hand_on, watching

    with watching() as terminal:
        arxiv = Arxiv(waiting=terminal.waiting)
        return pulling.pull(store, arxiv, Means(clock=now, watcher=terminal), names, since, hand_on)


def _end_with_input() -> None:
    """End as an interrupted command does when whoever started it is gone."""
    import os
    import signal

    from claims import service

    service.on_leash(lambda: os.kill(os.getpid(), signal.SIGTERM))


# --- saved queries ----------------------------------------------------------------------------------------------------


@queries_app.callback()
def queries_(context: typer.Context, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show what is asked of arXiv when you pull."""
    if context.invoked_subcommand is None:
        _list(store, as_json)


@queries_app.command("list")
def list_(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show the saved queries: what each asks, what it brought, and until when it has seen everything.

    JSON: a list: name, kind (words, author, like, cited), terms, asks, is_on, papers, made_by, made_at, reached_at,
    pulled_at, is_under_way, problem.
    """
    _list(store, as_json)


@queries_app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you will call it.", show_default=False)],
    category: Annotated[
        list[str] | None,
        typer.Option(help="A category: cs.LG, stat.ML, hep-th, or cs.* for all of an archive. Several: any of them."),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Option(help='Words that a paper must have, all of them; "in double quotes" side by side. Several: any.'),
    ] = None,
    author: Annotated[list[str] | None, typer.Option(help="'Jane Doe'. Several: any of them.")] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="SLUG",
            help="Papers like this note, line or claim: by the words that tell it from the rest of the library.",
            show_default=False,
        ),
    ] = None,
    cited: Annotated[bool, typer.Option("--cited", help="The papers that your pages name, by their ids.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a query. What is given must all hold: a category and words, words and an author. arXiv gets what `asks`
    shows, and the dates; of an entry at most nine single words, in the order of the alphabet.
    """
    from claims.papers import queries
    from claims.papers.terms import terms_from
    from stillholds.options import me

    said = {"categories": category or (), "words": words or (), "authors": author or ()}
    wanted = terms_from({**said, "like": (like or "").strip(), "cited": cited})
    saved = queries.add(open_store(store), name, wanted, me(), now())
    answer(saved.model_dump(mode="json"), as_json, lambda out: _added(out, saved))


@queries_app.command()
def remove(name: NameArgument, store: StoreOption = None) -> None:
    """Forget a query. The papers that it brought stay."""
    from claims.papers import queries
    from stillholds import console

    queries.remove(open_store(store), name)
    console.notes().print(f"Removed {name!r}; what it brought stays.")


@queries_app.command()
def on(name: NameArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Pull a query again, from where it stood."""
    _switch(name, store, as_json, is_on=True)


@queries_app.command()
def off(name: NameArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Leave a query out of pulls; it keeps its place."""
    _switch(name, store, as_json, is_on=False)


def _switch(name: str, store: str | None, as_json: bool, *, is_on: bool) -> None:
    from claims.papers import queries

    saved = queries.switch(open_store(store), name, on=is_on)
    words = f"{name!r} is {'on' if is_on else 'off'}."
    answer(saved.model_dump(mode="json"), as_json, lambda out: out.print(words))


def _list(store: str | None, as_json: bool) -> None:
    from claims.papers import queries

    with open_store(store).reading() as session:
        saved = queries.saved(session)
    answer([one.model_dump(mode="json") for one in saved], as_json, lambda out: _listed(out, saved))


# --- what people see --------------------------------------------------------------------------------------------------


def _added(out: "Console", saved: "Saved") -> None:
    out.print(f"Saved {saved.name!r}. It asks: {saved.asks}", soft_wrap=True)
    out.print(
        f"`stillholds pull {saved.name}` asks now; `stillholds schedule set --pulls daily` lets a worker ask.",
        soft_wrap=True,
    )


def _listed(out: "Console", saved: "list[Saved]") -> None:
    if not saved:
        out.print(NOTHING_SAVED, soft_wrap=True)
        return
    table = _table("query", "", "asks", "papers", "seen until", "")
    for one in saved:
        state = "broken off: the next pull goes on" if one.is_under_way and not one.problem else one.problem
        table.add_row(one.name, "on" if one.is_on else "off", one.asks, str(one.papers), _day(one.reached_at), state)
    out.print(table)


def _summary(out: "Console", done: "list[Pulled]") -> None:
    if not done:
        out.print(NOTHING_SAVED, soft_wrap=True)
        return
    table = _table("query", "new here", "new to it", "new versions", "withdrawn", "returned", "seen until", "")
    for one in done:
        counts = (one.new, one.found, one.new_versions, one.withdrawn, one.returned)
        words = one.problem or ("" if one.state == "done" else f"{one.state}: the next pull goes on")
        table.add_row(one.name, *map(str, counts), _day(one.reached_at), words)
    out.print(table)
    for one in done:
        for note in one.notes:
            out.print(f"{one.name}: {note}", soft_wrap=True)


def _day(at: "datetime | None") -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "never"


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
