"""Work: the worker, what waits for it, and calling it off."""

from typing import TYPE_CHECKING, Annotated

import typer

from stillholds.commands.common import JsonOption, ProcessesOption, StoreOption, answer, means_for, now, open_store

if TYPE_CHECKING:
    from datetime import datetime


def worker(
    slots: Annotated[int, typer.Option(min=1, max=64, help="Runs that go on at once.")] = 1,
    processes: ProcessesOption = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is left to do.")] = False,
    leash: Annotated[bool, typer.Option("--leash", help="End when the standard input does.", hidden=True)] = False,
    store: StoreOption = None,
) -> None:
    """Make what is queued, and what the schedule finds due, until it is stopped; any number on PostgreSQL, one a file."""
    import signal

    from claims import engine_dbos, service, timetable
    from stillholds.workers import Pulls

    opened = open_store(store)
    serving = service.Service(slots)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: serving.stop())
    if leash:
        service.on_leash(serving.stop)
    asker, pulls = engine_dbos.Asker(opened), Pulls(opened)

    def tick(moment: "datetime") -> None:
        timetable.tick(opened, moment, asker)
        if not until_idle:  # a borrowed worker does what it was borrowed for
            pulls.look(moment)

    try:
        engine_dbos.serve(opened, serving, means_for(processes), tick, until_idle=until_idle)
    finally:
        pulls.stop()


def queue(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show what waits, what is under way, and the workers."""
    from claims import tasks
    from stillholds import console

    found = tasks.overview(open_store(store), now())
    answer(found.model_dump(mode="json"), as_json, lambda _: console.queue(found))


def cancel(
    task: Annotated[str, typer.Argument(help="The id of a task, as `stillholds queue` shows it.", show_default=False)],
    store: StoreOption = None,
) -> None:
    """Call a task off: at once where it has not begun, within a second or two where it has."""
    from claims import tasks
    from stillholds import console

    opened = open_store(store)
    tasks.cancel(opened, tasks.find(opened, task), now())
    console.notes().print("Cancelled: what was under way is recorded as ERROR and says nothing about its claims.")
