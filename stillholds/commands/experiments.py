"""Experiments: what there is, and running them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stillholds.commands.common import (
    ClaimsArgument,
    ExitCode,
    JsonOption,
    ProcessesOption,
    ProfileOption,
    StoreOption,
    answer,
    end_by,
    means_for,
    now,
    open_store,
    verifier_names,
)


def verifiers_list(as_json: JsonOption = False) -> None:
    """List the verifiers."""
    from stillholds import console, present
    from verifiers.registry import verifiers

    console.faults()
    answer([present.verifier(one) for one in verifiers().values()], as_json, lambda _: console.verifiers())


def verifiers_show(
    name: Annotated[str, typer.Argument(help="The name of a verifier.", autocompletion=verifier_names)],
    as_json: JsonOption = False,
) -> None:
    """Show what a verifier measures, on what, what would refute, and what it does not say."""
    from stillholds import console, present
    from verifiers.registry import find

    one = find(name)
    answer(present.verifier(one), as_json, lambda _: console.verifier(one))


def verify(
    named: ClaimsArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Every claim that has a contract.")] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="VERDICTS", help="End with code 3 if one of these comes out, e.g. refuted,void.", show_default=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Write what came out as JUnit XML.", show_default=False),
    ] = None,
    profile: ProfileOption = "standard",
    processes: ProcessesOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test claims: run their experiments with fresh units and write what comes out into the ledger."""
    from claims import runs, verification
    from stillholds import console, options, present, workers

    if bool(named) == every:
        raise typer.BadParameter("name the claims to verify, or say --all", param_hint="CLAIM...")
    gate = options.gate(fail_on)
    opened = open_store(store)
    runs.bury(opened, now())
    jobs = verification.plan(opened, None if every else named, options.profile(profile), now())
    jobs = [job.model_copy(update={"processes": processes}) for job in jobs]
    means = means_for(processes)
    with console.watching(jobs, means.processes) as watcher:
        ids = workers.ask(opened, jobs, "asked for on the command line", options.me())
        outcomes = verification.follow(opened, ids, watcher, workers.Borrowed(opened, processes), now)
    if report is not None:
        from stillholds import junit

        junit.of_outcomes(report, outcomes, gate)
    said = [present.outcome(outcome) for outcome in outcomes]
    alone = not every and named is not None and len(set(named)) == 1 and len(said) == 1
    answer(said[0] if alone else said, as_json, lambda _: console.outcomes(outcomes))
    end_by(outcomes, gate)


def measure(
    verifier: Annotated[str, typer.Argument(help="The name of a verifier.", autocompletion=verifier_names)],
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
    means = means_for(processes or (1 if read else None))  # a log is measured sooner than a second process starts
    with console.watching([job], means.processes) as watcher:
        outcome, measured = measuring.measure(
            job, contract, options.seed(seed), means, watcher, broken=broken, columns=columns
        )

    def show(out: Any) -> None:
        console.outcomes([outcome])
        for line in logs.in_words(measured):
            out.print(line)

    answer(logs.document(present.outcome(outcome), measured), as_json, show)
    end_by([outcome], frozenset())


def certify(
    verifier: Annotated[str, typer.Argument(help="The name of a verifier.", autocompletion=verifier_names)],
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
        found = trial.certify(verifier, means_for(processes), report, restart=restart)
    answer(found.model_dump(mode="json"), as_json, lambda _: certifying.summary(found))
    if not found.granted:
        raise typer.Exit(ExitCode.FAILED)
