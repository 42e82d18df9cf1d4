"""The schedule on the command line: show it, switch it, set it; and what is due. Only typer is imported at the top."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillholds.commands.common import JsonOption, StoreOption, answer, now, open_store

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from claims.schedule import Plan
    from claims.timetable import Timetable

schedule_app = typer.Typer(help="When claims are tested again without being asked.", no_args_is_help=True)


@schedule_app.command()
def show(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show when the schedule looks, what it may use, and what it is doing about it."""
    from claims import timetable

    _show(timetable.timetable(open_store(store), now()), as_json)


@schedule_app.command()
def on(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Switch it on: a worker then tests again what is due, as far as the budget goes."""
    _change({"on": True}, store, as_json)


@schedule_app.command()
def off(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Switch it off: nothing is tested again unless somebody asks. What is queued already is still made."""
    _change({"on": False}, store, as_json)


@schedule_app.command("set")
def set_(
    cron: Annotated[
        str | None,
        typer.Option(help="When it looks: minute hour day month weekday, '*/15 * * * *'.", show_default=False),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of cron, quiet hours and days: UTC, Europe/Berlin.", show_default=False)
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="CPU-minutes a day; 0 runs nothing.", show_default=False)
    ] = None,
    quiet: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM-TO", help="Hours in which nothing is started, 22:00-07:00; may be repeated; none for none."
        ),
    ] = None,
    profile: Annotated[str | None, typer.Option(help="standard or thorough.", show_default=False)] = None,
    pulls: Annotated[
        str | None,
        typer.Option(help="Ask arXiv for what is new: daily, or off. Needs no `schedule on`.", show_default=False),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set when the schedule looks and what it may use; what is not named stays as it is."""
    hours = [span for span in quiet or [] if span.strip().lower() != "none"]
    said: dict[str, Any] = {
        "cron": cron,
        "timezone": timezone,
        "budget_cpu_minutes": budget,
        "quiet": hours if quiet else None,
        "profile": profile,
        "pulls": pulls,
    }
    named = {name: value for name, value in said.items() if value is not None}
    if not named:
        raise typer.BadParameter("say what to set: --cron, --timezone, --budget, --quiet, --profile or --pulls")
    _change(named, store, as_json)


def due(
    everything: Annotated[bool, typer.Option("--all", help="Show what waits for its turn too.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is due, why, what it will cost and when it is likely done, in the order it will be made."""
    from claims import timetable

    found = timetable.timetable(open_store(store), now())
    answer(found.plan.model_dump(mode="json"), as_json, lambda out: _due(out, found, everything=everything))


def _change(said: dict[str, Any], store: str | None, as_json: bool) -> None:
    from claims import timetable

    opened = open_store(store)
    timetable.change(opened, said, now())
    _show(timetable.timetable(opened, now()), as_json)


# --- what people and programs see -------------------------------------------------------------------------------------


def _show(found: "Timetable", as_json: bool) -> None:
    brief = found.plan.model_dump(mode="json", exclude={"due", "waiting"})
    said = {
        "settings": found.settings.model_dump(mode="json"),
        "looked_at": found.looked_at.isoformat() if found.looked_at else None,
        "next_look": found.next_look.isoformat() if found.next_look else None,
        "next_pull": found.next_pull.isoformat() if found.next_pull else None,
        **brief,
        "due": len(found.plan.due),
        "waiting": len(found.plan.waiting),
    }
    answer(said, as_json, lambda out: _told(out, found))


def _told(out: "Console", found: "Timetable") -> None:
    from stillholds.words import sentence

    for name, value in found.facts:
        out.print(f"{name:<9} {value}")
    out.print(f"\n{sentence(found.plan.reason)}")
    if found.plan.shortfall:
        out.print(found.plan.shortfall)


def _due(out: "Console", found: "Timetable", *, everything: bool) -> None:
    from stillholds.words import sentence

    plan = found.plan
    if plan.due:
        out.print(_table_of_due(found))
    if everything and plan.waiting:
        out.print(_table_of_waiting(plan))
    out.print(
        sentence(plan.reason)
        + ("" if everything or not plan.waiting else f" {len(plan.waiting)} wait: --all shows them.")
    )
    if plan.shortfall:
        out.print(plan.shortfall)


def _table_of_due(found: "Timetable") -> "Table":
    from stillholds.words import seconds

    table = _table("", "claims", "why", "chance", "lean on it", "cost", "likely done")
    for place, one in enumerate(found.plan.due, start=1):
        done = found.settings.said(one.done) if one.done else "not as things are"
        table.add_row(
            str(place),
            ", ".join(one.claims),
            "; ".join(one.reasons),
            f"{100 * one.chance:.0f} %",
            str(one.leaning),
            seconds(one.cost_cpu_seconds),
            done if one.state in {"ready", found.plan.state} else f"{done} ({one.state})",
        )
    return table


def _table_of_waiting(plan: "Plan") -> "Table":
    table = _table("claims", "state", "")
    for one in plan.waiting:
        table.add_row(", ".join(one.claims), one.state, one.reason)
    return table


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
