"""The command `stillholds`. Only typer is imported here; a command loads what it needs when it runs.

Exit codes are part of what is promised to scripts: see `ExitCode`.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from claims.verification import Means
    from kb.embedding import Embedder
    from kb.store import Store


class ExitCode(IntEnum):
    """What a script learns from how a command ends."""

    OK = 0
    FAILED = 1  # it could not be done; the reason stands on stderr
    USAGE = 2  # the command line was not understood
    GATE = 3  # `verify --fail-on`: a verdict that was named came out
    PARTLY = 4  # `import`: some pages were refused, the others are in
    BROKEN = 5  # `audit`: the ledger does not agree with itself
    INTERRUPTED = 130


EPILOG = (
    "Exit codes: 0 done · 1 failed, the reason is on stderr · 2 wrong command line · 3 a verdict named by --fail-on came out · "
    "4 some pages were refused · 5 the ledger does not agree with itself · 130 interrupted."
)
app = typer.Typer(
    name="stillholds",
    help="A research knowledge base whose claims re-test themselves.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
verifiers_app = typer.Typer(help="The experiments that claims are tested with.", no_args_is_help=True)
app.add_typer(verifiers_app, name="verifiers")


def _slugs(incomplete: str) -> list[str]:
    """Complete the slug of a claim from the library that is in use; silent when there is none."""
    try:
        from kb.read import cards

        with _opened(None).reading() as session:
            return [card.slug for card in cards(session, "claim") if card.slug.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a shell that completes must never print a traceback
        return []


def _verifier_names(incomplete: str) -> list[str]:
    from verifiers.registry import verifiers

    return [name for name in verifiers() if name.startswith(incomplete)]


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="The library: a path or sqlite:///PATH. Else STILLHOLDS_STORE, else ./library.db.",
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
    typer.Argument(metavar="CLAIM...", help="Slugs of claims.", autocompletion=_slugs, show_default=False),
]


# --- a library and its pages -----------------------------------------------------------------------------------------


@app.command()
def init(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Make an empty library, or upgrade one that an older version made."""
    from claims import library

    path = _path(store)
    existed = path.exists()
    library.create(path, _now())
    _answer({"store": str(path), "created": not existed}, as_json, lambda out: out.print(f"{path} is ready."))


@app.command()
def up(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Folders or pages to import first.", show_default=False)
    ] = None,
    store: StoreOption = None,
    processes: ProcessesOption = None,
) -> None:
    """Make or upgrade the library, import PATHS, and verify what is due; then `stillholds app` serves it."""
    from claims import library, runs, verification
    from stillholds import console

    opened = library.create(_path(store), _now())
    runs.bury(opened, _now())
    if paths:
        report = library.bring_in(opened, paths, _now())
        console.report(report)
        _embed_new(opened)
    jobs = verification.plan(opened, None, "standard", _now(), only_due=True)
    if not jobs:
        console.notes().print("Every claim that can be tested is fresh; nothing to run.")
        return
    means = _means(processes)
    with console.watching(jobs, means.processes) as watcher:
        outcomes = verification.verify(opened, jobs, means, watcher)
    console.outcomes(outcomes)


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Pages, or folders of pages (.md, .txt).", show_default=False)],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import pages: inquiry pages as text, or Markdown with front matter and wikilinks."""
    from claims import library
    from stillholds import console

    opened = library.create(_path(store), _now())
    report = library.bring_in(opened, paths, _now())
    said = {
        "new": [str(path) for path in report.new],
        "changed": [str(path) for path in report.changed],
        "unchanged": [str(path) for path in report.unchanged],
        "refused": [{"path": str(item.path), "reason": item.reason} for item in report.refused],
        "warnings": [{"path": str(item.path), "reason": item.reason} for item in report.warnings],
        "entries": vars(report.entries),
    }
    _answer(said, as_json, lambda _: console.report(report))
    _embed_new(opened)
    if report.refused:
        whole = not (report.new or report.changed or report.unchanged)
        raise typer.Exit(ExitCode.FAILED if whole else ExitCode.PARTLY)


@app.command()
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
    opened = _opened(store)
    embedder = _embed(opened)
    with opened.reading() as session:
        hits = kb_search.search(session, " ".join(question), embedder, filters, limit)
    _answer([hit.model_dump(mode="json") for hit in hits], as_json, lambda _: console.hits(hits))


@app.command()
def show(
    slug: Annotated[str, typer.Argument(help="The slug of a note, line, claim or paper.", autocompletion=_slugs)],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one entry: its text, its links with their sentences, and for a claim its contract, runs and standing."""
    from claims import overview
    from kb import read
    from stillholds import console, present

    opened = _opened(store)
    _bury(opened)
    with opened.reading() as session:
        entity = read.find(session, slug)
        view = read.view(session, entity)
        record = overview.record(session, entity.id, _now()) if entity.kind == "claim" else None
    _answer(present.entry(view, record), as_json, lambda _: console.entry(view, record))


@app.command()
def claims(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the claims with their standing."""
    from claims import overview
    from stillholds import console, present

    opened = _opened(store)
    _bury(opened)
    with opened.reading() as session:
        rows = overview.rows(session, _now())
    _answer([present.row(row) for row in rows], as_json, lambda _: console.claims(rows))


@app.command()
def stats(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Count what the library holds."""
    from kb import read
    from stillholds import console

    with _opened(store).reading() as session:
        counts = read.counts(session)
    _answer(counts.model_dump(), as_json, lambda _: console.counts(counts))


# --- experiments -----------------------------------------------------------------------------------------------------


@verifiers_app.command("list")
def verifiers_list(as_json: JsonOption = False) -> None:
    """List the verifiers."""
    from stillholds import console, present
    from verifiers.registry import verifiers

    console.faults()
    _answer([present.verifier(one) for one in verifiers().values()], as_json, lambda _: console.verifiers())


@verifiers_app.command("show")
def verifiers_show(
    name: Annotated[str, typer.Argument(help="The name of a verifier.", autocompletion=_verifier_names)],
    as_json: JsonOption = False,
) -> None:
    """Show what a verifier measures, on what, what would refute, and what it does not say."""
    from stillholds import console, present
    from verifiers.registry import find

    one = find(name)
    _answer(present.verifier(one), as_json, lambda _: console.verifier(one))


@app.command()
def verify(
    named: ClaimsArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Every claim that has a contract.")] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="VERDICTS", help="End with code 3 if one of these comes out, e.g. refuted,void.", show_default=False
        ),
    ] = None,
    profile: ProfileOption = "standard",
    processes: ProcessesOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test claims: run their experiments with fresh units and write what comes out into the ledger."""
    from claims import runs, verification
    from stillholds import console, options, present

    if bool(named) == every:
        raise typer.BadParameter("name the claims to verify, or say --all", param_hint="CLAIM...")
    gate = options.gate(fail_on)
    opened = _opened(store)
    runs.bury(opened, _now())
    jobs = verification.plan(opened, None if every else named, options.profile(profile), _now())
    means = _means(processes)
    with console.watching(jobs, means.processes) as watcher:
        outcomes = verification.verify(opened, jobs, means, watcher)
    said = [present.outcome(outcome) for outcome in outcomes]
    alone = not every and named is not None and len(set(named)) == 1 and len(said) == 1
    _answer(said[0] if alone else said, as_json, lambda _: console.outcomes(outcomes))
    _end_by(outcomes, gate)


@app.command()
def measure(
    verifier: Annotated[str, typer.Argument(help="The name of a verifier.", autocompletion=_verifier_names)],
    subject: Annotated[
        str,
        typer.Option(
            help="What to measure, e.g. lab:story, or logs of your own: runlog:A.csv,B.csv or runlog:'*.csv'."
        ),
    ],
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**53 - 1, help="The same seed gives the same bits. Default: a new one, printed."),
    ] = None,
    profile: ProfileOption = "standard",
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="In place of the verifier's own contract; may be repeated."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=NAME", help="Which column of a log is the step, entropy, score, run or arm; may be repeated."
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(metavar="WHAT=UNIT", help="Units of a log: entropy=nats or bits, score=share or percent."),
    ] = None,
    broken: Annotated[
        str | None,
        typer.Option(
            metavar="BREAK",
            help="Break the instrument in a named way, to see its controls catch it.",
            show_default=False,
        ),
    ] = None,
    processes: ProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure without a library: run a verifier on a subject under its own default contract, and write nothing down."""
    from claims import measuring
    from stillholds import console, logs, options, present

    columns = options.columns(column or [], unit or [])
    job, contract = measuring.plan(verifier, subject, options.profile(profile), options.parameters(parameter or []))
    read = measuring.reading(subject, columns)  # what cannot be read is said before anything is started
    means = _means(processes or (1 if read else None))  # a log is measured sooner than a second process starts
    with console.watching([job], means.processes) as watcher:
        outcome, measured = measuring.measure(
            job, contract, options.seed(seed), means, watcher, broken=broken, columns=columns
        )

    def show(out: Any) -> None:
        console.outcomes([outcome])
        for line in logs.in_words(measured):
            out.print(line)

    _answer(logs.document(present.outcome(outcome), measured), as_json, show)
    _end_by([outcome], frozenset())


@app.command()
def certify(
    verifier: Annotated[str, typer.Argument(help="The name of a verifier.", autocompletion=_verifier_names)],
    processes: ProcessesOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away what an earlier, unfinished attempt has kept.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find out how often a verifier is wrong, and write its certificate beside its code, granted or not (an hour or two)."""
    from claims import trial
    from stillholds import certifying

    with certifying.progress() as report:
        found = trial.certify(verifier, _means(processes), report, restart=restart)
    _answer(found.model_dump(mode="json"), as_json, lambda _: certifying.summary(found))
    if not found.granted:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def audit(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Recompute the ledger: every chain, seal, verdict and standing. Finds a single changed byte."""
    from claims import audit as claims_audit
    from stillholds import console

    found = claims_audit.audit(_opened(store, read_only=True))
    _answer(found.model_dump(mode="json"), as_json, lambda _: console.audit(found))
    if found.problems:
        raise typer.Exit(ExitCode.BROKEN)


@app.command("app")
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show everything, change nothing.")] = False,
    store: StoreOption = None,
) -> None:
    """Serve the library to a browser on this machine (127.0.0.1)."""
    from stillholds import serve as server

    opened = _opened(store, read_only=read_only)
    _bury(opened)
    raise typer.Exit(server.run(opened.path, port, read_only=read_only))


# --- what commands share ---------------------------------------------------------------------------------------------


def _path(option: str | None) -> Path:
    import os

    from kb.store import path_from

    return path_from(option, os.environ)


def _opened(option: str | None, *, read_only: bool = False) -> "Store":
    from kb.store import Store

    return Store.open(_path(option), read_only=read_only)


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _means(processes: int | None) -> "Means":
    import os

    from claims.verification import Means
    from claims.worker import cache_folder

    return Means(clock=_now, processes=processes or os.cpu_count() or 1, cache=str(cache_folder()))


def _bury(store: "Store") -> None:
    """Record runs whose process died, where the store lets us; reading shows them as ERROR anyway."""
    from claims import runs
    from kb.errors import StoreError

    if not store.read_only:
        try:
            runs.bury(store, _now())
        except StoreError:
            return


def _embed_new(store: "Store") -> None:
    """Embed what is new; loading the model takes seconds, so only if there is something."""
    from kb import embedding

    if embedding.due(store, embedding.PINNED):
        _embed(store)


def _embed(store: "Store") -> "Embedder | None":
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
        with console.embedding_progress() as report:
            embedding.embed_due(store, embedder, report)
    except StoreError as error:
        console.notes().print(f"New text could not be embedded and is found by its words only: {error}")
    return embedder


def _answer(value: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    from stillholds import console

    if as_json:
        import json

        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        show(console.out())


def _end_by(outcomes: Any, gate: frozenset[str]) -> None:
    """A gate that was met is what a script asked for; short of that, a run without a measurement is a failure."""
    words = {outcome.verdict for outcome in outcomes}
    if words & gate:
        raise typer.Exit(ExitCode.GATE)
    if "ERROR" in words:
        raise typer.Exit(ExitCode.FAILED)


@contextmanager
def _errors_in_words() -> Iterator[None]:
    """Turn errors that a user can act on into one line on stderr and an exit code; anything else is our fault and
    shows.
    """
    import signal

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted; what was finished is kept.", err=True)
        raise SystemExit(ExitCode.INTERRUPTED) from None
    except Exception as error:
        if not _is_for_the_user(error):
            raise
        typer.echo(f"stillholds: {error}", err=True)
        raise SystemExit(ExitCode.FAILED) from None


def _is_for_the_user(error: Exception) -> bool:
    from claims.errors import ClaimError
    from kb.errors import KbError
    from verifiers.registry import VerifierError

    return isinstance(error, KbError | ClaimError | VerifierError)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be text
    with _errors_in_words():
        app(standalone_mode=True)
