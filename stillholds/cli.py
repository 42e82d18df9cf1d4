"""The command `stillholds`. Only typer is imported here; a command loads what it needs when it runs.

Exit codes are part of what is promised to scripts: see `ExitCode`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

import typer

from stillholds.commands import experiments, grounding, inbox, keeping, pages, pull, questions, schedule, timeline, work
from stillholds.commands.common import ExitCode

EPILOG = (
    "Exit codes: 0 done · 1 failed, the reason is on stderr · 2 wrong command line · "
    "3 what --fail-on names came out of `verify`, or stands for `check` or `ground`; `replay` disagrees · 4 some pages were refused · "
    "5 the ledger does not agree with itself · 130 interrupted."
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

app.command()(pages.init)
app.command()(pages.up)
app.command("import")(pages.import_)
app.command()(pages.search)
app.command()(pages.show)
app.command()(pages.claims)
app.command()(pages.stats)
verifiers_app.command("list")(experiments.verifiers_list)
verifiers_app.command("show")(experiments.verifiers_show)
app.command()(experiments.verify)
app.command()(experiments.measure)
app.command()(experiments.certify)
app.command()(pages.audit)
app.command()(keeping.backup)
app.command()(keeping.restore)
app.command()(timeline.history)
app.command()(timeline.diff)
app.command()(timeline.check)
app.command()(questions.replay)
app.command()(questions.bisect)
app.command()(timeline.feeds)
app.command()(timeline.decide)
app.command()(timeline.retire)
app.command()(timeline.wake)
app.command()(timeline.due_now)
app.command()(pull.pull)
app.add_typer(pull.queries_app, name="queries")
app.command()(inbox.papers)
app.add_typer(inbox.triage_app, name="triage")
app.command()(grounding.ground)
app.command()(grounding.cite)
app.command("app")(pages.serve)
app.add_typer(schedule.schedule_app, name="schedule")
app.command()(schedule.due)
app.command()(work.worker)
app.command()(work.queue)
app.command()(work.cancel)


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
