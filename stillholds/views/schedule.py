"""The schedule: what is due, why, what it will cost, when it is likely done; and when the library tests itself again."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from claims import timetable
from claims.errors import ClaimError
from claims.hours import Settings
from claims.schedule import Due, Plan
from claims.timetable import Timetable
from kb import read
from kb.read import Card
from stillholds.views import frame
from stillholds.words import seconds, sentence

MOST = 100  # rows of a table


def page() -> None:
    """Draw the page."""
    try:
        found = timetable.timetable(frame.store(), frame.now())
    except ClaimError as error:
        frame.failure(f"The schedule's settings cannot be kept. {error}")
    frame.title(_headline(found), "Claims are tested again when their time has come, and nobody need ask.")
    frame.html(_facts(found))
    if found.plan.shortfall:
        frame.html(f"<p>{escape(found.plan.shortfall)}</p>")
    if not frame.is_read_only():
        _switch(found.settings)
    with frame.store().reading() as session:
        cards = {card.slug: card for card in read.cards(session, "claim")}
    _due(found, cards)
    _waiting(found, cards)


def _headline(found: Timetable) -> str:
    """What the schedule is doing, as a sentence."""
    plan, cost = found.plan, sum(one.cost_cpu_seconds for one in found.plan.due)
    if plan.state != "ready":
        return sentence(plan.reason).replace("`", "")
    number = len(plan.due)
    return f"{number} measurement{' is' if number == 1 else 's are'} due, about {seconds(cost)} of one core."


def _facts(found: Timetable) -> str:
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in found.facts)
    return f"<dl class='facts'>{facts}</dl>"


# --- switching and setting --------------------------------------------------------------------------------------------


def _switch(said: Settings) -> None:
    label = "Switch the schedule off" if said.on else "Switch the schedule on"
    if st.button(label, type="secondary" if said.on else "primary"):
        timetable.change(frame.store(), {"on": not said.on}, frame.now())
        st.rerun()
    with st.expander("Settings"), st.form("schedule"):
        left, right = st.columns(2)
        budget = left.number_input("CPU-minutes a day", min_value=0.0, value=said.budget_cpu_minutes, step=10.0)
        cron = left.text_input("Looks at (minute hour day month weekday)", said.cron)
        quiet = right.text_input("Quiet hours, such as 22:00-07:00", ", ".join(said.quiet))
        zone = right.text_input("Time zone", said.timezone)
        if st.form_submit_button("Set"):
            _set(budget, cron, quiet, zone)


def _set(budget: float, cron: str, quiet: str, zone: str) -> None:
    """Keep what the form says, or say why it cannot be kept."""
    spans = [span.strip() for span in quiet.split(",") if span.strip()]
    try:
        timetable.change(
            frame.store(),
            {"budget_cpu_minutes": budget, "cron": cron, "quiet": spans, "timezone": zone.strip()},
            frame.now(),
        )
    except ClaimError as error:
        frame.failure(f"Nothing was changed. {error}")
    st.rerun()


# --- what is due, what waits ------------------------------------------------------------------------------------------


def _due(found: Timetable, cards: Mapping[str, Card]) -> None:
    plan = found.plan
    if not plan.due:
        frame.empty("Everything that can be tested is fresh." if plan.state == "nothing due" else "Nothing is due.")
        return
    rows = [_due_cells(one, plan, found.settings, cards) for one in plan.due[:MOST]]
    head = ["Claims", "Why", "Chance of a change", "Lean on it", "Cost", "Likely done"]
    frame.html(frame.heading("Due", _shown(len(plan.due))) + frame.table(head, rows))


def _due_cells(one: Due, plan: Plan, said: Settings, cards: Mapping[str, Card]) -> list[str]:
    done = said.said(one.done) if one.done else "not as things are"
    held = (
        "" if one.state in {"ready", plan.state} else f"<br><span class='sh-small sh-soft'>{escape(one.state)}</span>"
    )
    return [
        _links(one.claims, cards),
        f"<span class='sh-small sh-theirs'>{'<br>'.join(escape(sentence(reason)) for reason in one.reasons)}</span>",
        f"{100 * one.chance:.0f} %",
        str(one.leaning),
        escape(seconds(one.cost_cpu_seconds)),
        escape(done) + held,
    ]


def _waiting(found: Timetable, cards: Mapping[str, Card]) -> None:
    waiting = found.plan.waiting
    if not waiting:
        return
    rows = [
        [
            _links(one.claims, cards),
            escape(one.state),
            escape(found.settings.said(one.until)) if one.until else "",
            f"<span class='sh-small sh-theirs'>{escape(sentence(one.reason))}</span>",
        ]
        for one in waiting[:MOST]
    ]
    frame.html(
        frame.heading("Waits for its turn", _shown(len(waiting))) + frame.table(["Claims", "", "Until", "Why"], rows)
    )


def _links(slugs: Sequence[str], cards: Mapping[str, Card]) -> str:
    return "<br>".join(frame.link(cards[slug], cards[slug].short or None) for slug in slugs if slug in cards)


def _shown(number: int) -> str:
    return f"the first {MOST} of {number}" if number > MOST else str(number)
