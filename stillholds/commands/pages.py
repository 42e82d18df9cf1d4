"""A library and its pages: made, filled, searched, read, served."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from stillholds.commands.common import (
    ExitCode,
    JsonOption,
    ProcessesOption,
    StoreOption,
    answer,
    bury,
    embed,
    embed_new,
    location_of,
    means_for,
    now,
    open_store,
    slugs,
)
from stillholds.commands.timeline import AsOfOption


def init(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Make an empty library, or upgrade one that an older version made."""
    from claims import library
    from kb.store import Store

    place = location_of(store)
    existed = Store.exists(place)
    library.create(place, now())
    answer({"store": str(place), "created": not existed}, as_json, lambda out: out.print(f"{place} is ready."))


def up(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Folders or pages to import first.", show_default=False)
    ] = None,
    store: StoreOption = None,
    processes: ProcessesOption = None,
) -> None:
    """Make or upgrade the library, import PATHS, and verify what is due; then `stillholds app` serves it."""
    from claims import library, runs, verification
    from stillholds import console, options, workers

    opened = library.create(location_of(store), now())
    runs.bury(opened, now())
    if paths:
        report = library.bring_in(opened, paths, now())
        console.report(report)
        embed_new(opened)
    jobs = verification.plan(opened, None, "standard", now(), only_due=True)
    if not jobs:
        console.notes().print("Every claim that can be tested is fresh; nothing to run.")
        return
    with console.watching(jobs, means_for(processes).processes) as watcher:
        ids = workers.ask(opened, jobs, "due", options.me())
        outcomes = verification.follow(opened, ids, watcher, workers.Borrowed(opened, processes), now)
    console.outcomes(outcomes)


def import_(
    paths: Annotated[list[Path], typer.Argument(help="Pages, or folders of pages (.md, .txt).", show_default=False)],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import pages: inquiry pages as text, or Markdown with front matter and wikilinks."""
    from claims import library
    from stillholds import console

    opened = library.create(location_of(store), now())
    report = library.bring_in(opened, paths, now())
    said = {
        "new": [str(path) for path in report.new],
        "changed": [str(path) for path in report.changed],
        "unchanged": [str(path) for path in report.unchanged],
        "refused": [{"path": str(item.path), "reason": item.reason} for item in report.refused],
        "warnings": [{"path": str(item.path), "reason": item.reason} for item in report.warnings],
        "entries": vars(report.entries),
    }
    answer(said, as_json, lambda _: console.report(report))
    embed_new(opened)
    if report.refused:
        whole = not (report.new or report.changed or report.unchanged)
        raise typer.Exit(ExitCode.FAILED if whole else ExitCode.PARTLY)


def search(
    question: Annotated[list[str], typer.Argument(help="A question or some words.", show_default=False)],
    kind: Annotated[list[str] | None, typer.Option(help="note, line, claim or paper; may be repeated.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Dated then or later: 2025, 2025-05, 2025-05-22.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Dated then or earlier.")] = None,
    standing: Annotated[list[str] | None, typer.Option(help="Claims of this standing; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 10,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find notes, lines, claims and papers by meaning and by words, and why each was found."""
    from kb import search as kb_search
    from stillholds import console, options

    filters = options.filters(kind or [], since, until, standing or [])
    opened = open_store(store)
    embedder = embed(opened)
    with opened.reading() as session:
        hits = kb_search.search(session, " ".join(question), embedder, filters, limit)
    answer([hit.model_dump(mode="json") for hit in hits], as_json, lambda _: console.hits(hits))


def show(
    slug: Annotated[str, typer.Argument(help="The slug of a note, line, claim or paper.", autocompletion=slugs)],
    as_of: AsOfOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one entry: its text, its links with their sentences, and for a claim its contract, runs and standing."""
    from claims import overview
    from kb import read
    from stillholds import console, moments, present

    then = moments.option(as_of, "--as-of") if as_of else None
    opened = open_store(store)
    bury(opened)
    with opened.reading() as session:
        entity = read.find(session, slug)
        view = read.view(session, entity)
        record = overview.record(session, entity.id, now(), then) if entity.kind == "claim" else None
    answer(present.entry(view, record), as_json, lambda _: console.entry(view, record, then))


def claims(as_of: AsOfOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the claims with their standing."""
    from claims import overview, timeline
    from stillholds import console, moments, present

    then = moments.option(as_of, "--as-of") if as_of else None
    opened = open_store(store)
    bury(opened)
    with opened.reading() as session:
        rows = timeline.rows(session, then) if then else overview.rows(session, now())
    answer([present.row(row) for row in rows], as_json, lambda _: console.claims(rows, then))


def stats(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Count what the library holds."""
    from kb import read
    from stillholds import console

    with open_store(store).reading() as session:
        counts = read.counts(session)
    answer(counts.model_dump(), as_json, lambda _: console.counts(counts))


def audit(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Recompute the ledger: every chain, seal, verdict and standing. Finds a single changed byte."""
    from claims import audit as claims_audit
    from stillholds import console

    found = claims_audit.audit(open_store(store, read_only=True))
    answer(found.model_dump(mode="json"), as_json, lambda _: console.audit(found))
    if found.problems:
        raise typer.Exit(ExitCode.BROKEN)


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show everything, change nothing.")] = False,
    store: StoreOption = None,
) -> None:
    """Serve the library to a browser on this machine (127.0.0.1), with a worker beside it unless it is read-only."""
    from stillholds import serve as server
    from stillholds import workers

    opened = open_store(store, read_only=read_only)
    bury(opened)
    with nullcontext() if read_only else workers.kept(opened.location):
        code = server.run(opened.location, port, read_only=read_only)
    raise typer.Exit(code)
