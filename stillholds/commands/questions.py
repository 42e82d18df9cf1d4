"""Questions to an old verdict: does the run still come out the same, and what flipped the claim."""

from typing import Annotated

import typer

from stillholds.commands.common import (
    ExitCode,
    JsonOption,
    ProcessesOption,
    StoreOption,
    answer,
    bury,
    means_for,
    open_store,
    slugs,
)


def replay(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run: CLAIM:NUMBER, or its id or the beginning of that.", show_default=False
        ),
    ],
    processes: ProcessesOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a recorded run again with its own seed: the same bits, or by how much they differ and what has changed since.

    It ends with 0 where every unit that decides agrees within the noise floor, and with 3 where one does not. The replay
    goes into the ledger and is never evidence. JSON: run, number, verifier, subject, profile, seed, identical, agrees,
    endpoints (largest: on the scale of analysis), claims, controls, changed, cpu_seconds, not_recorded.
    """
    from claims import replay as replaying
    from stillholds import questioning

    opened, means = open_store(store), means_for(processes)
    bury(opened)
    with questioning.watching(means.processes) as watcher:
        found = replaying.replay(opened, run, means, watcher)
    answer(found.model_dump(mode="json"), as_json, lambda _: questioning.replay(found))
    if not found.agrees:
        raise typer.Exit(ExitCode.GATE)


def bisect(
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="The slug of a claim.", autocompletion=slugs)],
    subject: Annotated[
        str | None, typer.Option(help="On which subject. Default: the one that flipped last.", show_default=False)
    ] = None,
    good: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="The run that held. Default: the last with one after it that did not."),
    ] = None,
    bad: Annotated[
        str | None, typer.Option(metavar="RUN", help="The run that did not. Default: the first after the good one.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be run, and what it would cost.")
    ] = False,
    processes: ProcessesOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find what flipped a claim, between the last run that held and the first that did not: its code, the parameters or
    regions of its contract, threads, library versions, or nothing but the seeds.

    Runs are named as in `replay`, or by their number alone. Nothing is written down. JSON: claim, subject, endpoint, good,
    bad, noise, differences, steps (the runs that were made), answer (cause, said, changes, commit, not_tested), and for
    --dry-run planned, most_runs, expected_cpu_seconds.
    """
    from claims import bisect as bisecting
    from claims.pairs import Asked
    from stillholds import questioning

    opened, means = open_store(store), means_for(processes)
    with questioning.watching(means.processes) as watcher:
        found = bisecting.bisect(opened, Asked(claim, subject, good, bad), means, watcher, dry_run=dry_run)
    said = found.model_dump(mode="json") | {"cpu_seconds": found.cpu_seconds}
    answer(said, as_json, lambda _: questioning.bisection(found))
