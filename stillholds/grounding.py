"""What people and programs see of grounding: papers, who names them, and both texts where they disagree."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from textwrap import shorten
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from claims.papers.grounding import GATE, Finding, Ground, Named, State, checked, counts, summary
from claims.papers.looking_up import Accepted, Answered
from stillholds.console import described_bar, marked, notes, out, turn_words
from stillholds.words import ground_mark

WIDEST = 60  # characters of the title of an entry in a table


class Terminal:
    """Follows the asking with a bar."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("asking arXiv", total=None)
        self._words = "asking arXiv"

    def report(self, done: int, total: int) -> None:
        """DONE of TOTAL papers were asked about."""
        self._words = f"{done} of {total} papers asked about"
        self._bar.update(self._task, completed=done, total=total, description=self._words)

    def waiting(self, left: float | None) -> None:
        """The next question has to wait; None where another process has its turn."""
        self._bar.update(self._task, description=f"{self._words} ({turn_words(left)})")


@contextmanager
def watching() -> Iterator[Terminal]:
    """Show the asking as it goes on; nothing without a terminal."""
    with described_bar() as bar:
        yield Terminal(bar)


# --- for people ------------------------------------------------------------------------------------------------------


def table(found: Sequence[Ground]) -> None:
    """Every paper: its state, its dates, who names it; and below it what is not as pages have it, with both texts."""
    if not found:
        out().print("No paper is named here.")
        return
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    for column in ("paper", "state", "here", "at arXiv", "named by"):
        shown.add_column(column, overflow="fold")
    for one in found:
        shown.add_row(
            _paper(one),
            _state(one),
            one.named.date or "",
            at_arxiv(one),
            named_by(one.named),
        )
    out().print(shown)
    for one in found:
        _findings(one)
    out().print(summary(found), soft_wrap=True)
    if said := checked(found):
        again = "`stillholds ground PAPER` asks again about one, `--days 0` about all."
        out().print(Text(f"{said} {again}", style="bright_black"), soft_wrap=True)


def _state(one: Ground) -> Group:
    """What it is first of all, and when arXiv was asked."""
    at = f"checked {one.checked_at:%Y-%m-%d}" if one.checked_at else ""
    return Group(marked(ground_mark(one.headline.state)), Text(at, style="bright_black"))


def _paper(one: Ground) -> Group:
    """A paper by its title, and the shortest name that a command takes."""
    slug = one.named.card.slug if one.named.card else ""
    return Group(Text(one.named.title), Text(f"arXiv:{one.arxiv}" if one.arxiv else slug, style="bright_black"))


def at_arxiv(one: Ground) -> str:
    """When arXiv had it first, and its newest version."""
    record = one.known.record
    if record is None:
        return ""
    newer = f", v{record.version} {record.updated_at:%Y-%m-%d}" if record.version > 1 else ""
    return f"{record.published_at:%Y-%m-%d}{newer}"


def named_by(named: Named) -> Group:
    """The entries that name it, each once, with the dates of what they say."""
    seen = {one.by.id: one for one in named.namings}
    lines = [
        Text(
            f"{one.by.kind}{f' {one.date.written}' if one.date else ''}: {shorten(one.by.label, WIDEST, placeholder=' …')}"
        )
        for one in seen.values()
    ]
    return Group(*lines)


def _findings(one: Ground) -> None:
    troubles = [finding for finding in one.findings if finding.state not in {"grounded", "not yet checked"}]
    if not troubles:
        return
    out().print(Padding(Text(one.named.title, style="bold"), (1, 0, 0, 0)))
    for finding in troubles:
        about = f" ({finding.by.slug})" if finding.by else ""
        head = marked(ground_mark(finding.state)).append(f": {finding.said}{about}", style="default")
        out().print(Padding(head, (0, 0, 0, 2)))
        out().print(Padding(_both(finding), (0, 0, 0, 4)))
    for each in one.proposals:
        line = f"{each.record.arxiv}  {each.similarity:.2f}  {each.record.title}"
        out().print(Padding(Text(line, style="bright_black"), (0, 0, 0, 4)))


def _both(finding: Finding) -> Table:
    both = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, text in (("pages", finding.ours), ("arXiv", finding.theirs)):
        if text:
            both.add_row(Text(name, style="bright_black"), Text(text))
    return both


def asked(answered: Answered) -> None:
    """What came of asking arXiv, where it did not go well."""
    if answered.problem:
        kept = f"{answered.asked} of {answered.wanted} papers were answered for; what is known is shown."
        notes().print(f"{answered.problem}\n{kept}", soft_wrap=True)


def accepted(done: Accepted) -> None:
    """What was recorded, and what is left to do on pages."""
    out().print(f"{done.slug} is arXiv:{done.arxiv}, {done.title}, says {done.who}.", soft_wrap=True)
    out().print(done.advice, soft_wrap=True)


# --- for programs ----------------------------------------------------------------------------------------------------


def said(found: Sequence[Ground], answered: Answered | None, gate: frozenset[State]) -> dict[str, Any]:
    """All of it as data."""
    names = {state: name for name, state in GATE.items()}
    return {
        "asked": answered.asked if answered else 0,
        "problem": answered.problem if answered else "",
        "gate": sorted(names[state] for state in gate),
        "passed": not any(one.has(gate) for one in found),
        "counts": counts(found),
        "papers": [paper(one) | {"met": [names[state] for state in one.has(gate)]} for one in found],
    }


def paper(one: Ground) -> dict[str, Any]:
    """One paper, what arXiv says of it, and what comes of both."""
    record = one.known.record
    return {
        "slug": one.named.card.slug if one.named.card else None,
        "title": one.named.title,
        "titles": list(one.named.titles),
        "arxiv": one.arxiv,
        "date": one.named.date,
        "state": one.headline.state,
        "findings": [
            finding.model_dump(mode="json", exclude={"by"}) | {"by": finding.by.slug if finding.by else None}
            for finding in one.findings
        ],
        "named_by": [
            {
                "kind": naming.by.kind,
                "slug": naming.by.slug,
                "type": naming.type,
                "sentence": naming.sentence,
                "date": naming.date.written if naming.date else None,
                "version": naming.version,
                "titles": [each.title for each in one.named.called if each.by and each.by.id == naming.by.id],
            }
            for naming in one.named.namings
        ],
        "arxiv_says": record.model_dump(mode="json") | {"is_withdrawn": one.known.is_withdrawn} if record else None,
        "events": [news.model_dump(mode="json") for news in one.known.news],
        "proposals": [
            {"arxiv": each.record.arxiv, "title": each.record.title, "similarity": each.similarity}
            for each in one.proposals
        ],
        "accepted_by": one.accepted.who if one.accepted else None,
        "checked_at": _at(one.checked_at),
    }


def _at(when: datetime | None) -> str | None:
    return when.isoformat(timespec="seconds") if when else None
