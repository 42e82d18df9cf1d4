"""What people see when an old verdict is questioned: `replay` and `bisect`, while they run and when they are done."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from claims.bisect import Bisection, Tried
from claims.pairs import Seen
from claims.recorded import Difference
from claims.replay import Compared, Replay
from stillholds.console import Terminal, described_bar, marked, notes, out
from stillholds.words import between, day, mark, number


@contextmanager
def watching(processes: int) -> Iterator[Terminal]:
    """Show runs as they happen; they are nobody's evidence, and breaking them off leaves nothing behind."""
    bar = described_bar()
    try:
        with bar:
            yield Terminal(bar, processes)
    except KeyboardInterrupt:
        notes().print("Interrupted: nothing was recorded.")
        raise


# --- replay ----------------------------------------------------------------------------------------------------------


def replay(found: Replay) -> None:
    """Whether the same came out, by how much not, and what has changed since."""
    head = Text(f"run {found.number} of {', '.join(one.claim for one in found.claims)}", style="bold")
    out().print(
        head.append(f"  {found.verifier} on {found.subject}, {found.profile}, seed {found.seed}", style="bright_black")
    )
    out().print(Padding(Text(verdict_on(found)), (0, 0, 1, 2)))
    out().print(Padding(_compared(found.endpoints), (0, 0, 1, 2)))
    for one in found.claims:
        if one.was != one.now:
            was, now = marked(mark(one.was)), marked(mark(one.now))
            said = Text(f"{one.claim} would read now: ").append_text(now).append(", and read then: ").append_text(was)
            out().print(Padding(said, (0, 0, 0, 2)))
    for line in found.controls:
        out().print(Padding(Text(f"control {line}"), (0, 0, 0, 2)))
    out().print(Padding(_changed("since then", found.changed), (0, 0, 0, 2)))
    cost = f"{_cost(found.cpu_seconds)}."
    kept = (
        f"Not recorded: {found.not_recorded.rstrip('.')}."
        if found.not_recorded
        else "Recorded as a replay: it is no evidence."
    )
    out().print(Padding(Text(f"{cost} {kept}", style="bright_black"), (1, 0, 0, 2)))


def verdict_on(found: Replay) -> str:
    """A replay in a sentence."""
    if found.identical:
        return "The same bits: every unit of every endpoint came out as it was recorded."
    if not found.agrees:
        return "It disagrees: units that decide differ by more than the noise floor, or cannot be compared."
    return "Not the same bits, but every unit that decides agrees within the noise floor."


def _compared(endpoints: Sequence[Compared]) -> Table:
    """What decides, and what differs; the rest is counted below the table."""
    table = _table("quantity", "units", "same bits", "largest difference", "in unit")
    for one in endpoints:
        if one.decides or not one.identical:
            far = one.reason if one.largest is None else f"{one.largest:.3g}" + (" (log)" if one.scale == "log" else "")
            unit = "" if one.unit is None else str(one.unit + 1)
            name = Text(one.quantity, style="bold" if one.decides else "")
            table.add_row(name, str(one.units), "yes" if one.identical else "no", "" if one.identical else far, unit)
    if same := sum(one.identical and not one.decides for one in endpoints):
        table.caption_justify = "left"
        table.caption = f"the same bits: {same} other {'quantity' if same == 1 else 'quantities'}"
    return table


def _changed(title: str, changed: Sequence[Difference]) -> Table:
    table = _table(title, "was", "is")
    for one in changed:
        table.add_row(one.what, one.was or "none", one.now or "none")
    if not changed:
        table.add_row("nothing that was written down has changed", "", "")
    return table


def _cost(cpu_seconds: float) -> str:
    return f"{cpu_seconds:.0f} CPU-seconds" if cpu_seconds < 60 else f"{cpu_seconds / 60:.1f} CPU-minutes"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


# --- bisect ----------------------------------------------------------------------------------------------------------


def bisection(found: Bisection) -> None:
    """The two runs side by side, what needs no run, the runs that were made, and the answer."""
    head = Text(found.claim, style="bold").append(f"  {found.endpoint} on {found.subject}", style="bright_black")
    out().print(head)
    out().print(Padding(_side_by_side(found.good, found.bad), (0, 0, 1, 2)))
    out().print(Padding(_changed("between them", found.differences), (0, 0, 1, 2)))
    out().print(Padding(Text(f"Without a run: {found.noise.said}."), (0, 0, 1, 2)))
    if found.answer is None:
        _planned(found)
        return
    for step in found.steps:
        out().print(Padding(_step(step), (0, 0, 1, 2)))
    out().print(Text(found.answer.said, style="bold"), soft_wrap=True)
    for change in found.answer.changes:
        if change.is_long:
            out().print(Padding(Text(_side("-", change.was) + _side("+", change.now)), (0, 0, 0, 2)))
    for line in found.answer.not_tested:
        out().print(Padding(Text(f"Not tested: {line}."), (0, 0, 0, 2)))
    ran = f"{len(found.steps)} run{'' if len(found.steps) == 1 else 's'}, {_cost(found.cpu_seconds)}"
    out().print(Text(f"{ran}; none of them is evidence, and nothing was written down.", style="bright_black"))


def _planned(found: Bisection) -> None:
    if not found.planned:
        out().print("Nothing would be run: the question is answered without.")
        return
    for place, line in enumerate(found.planned, start=1):
        out().print(Padding(Text(f"{place}. {line}"), (0, 0, 0, 2)))
    cost = f"about {_cost(found.expected_cpu_seconds)}, by what the two runs took"
    runs = f"{found.most_runs} run{'' if found.most_runs == 1 else 's'}"
    out().print(Text(f"At most {runs} to tell what kind of change it is: {cost}.", style="bright_black"))


def _side_by_side(good: Seen, bad: Seen) -> Table:
    table = _table("", "held", "did not")
    rows = [
        ("run", *(f"{one.number}, {day(one.at)}, {one.profile}" for one in (good, bad))),
        ("interval", *(f"{between(one.low, one.estimate, one.high)}, {one.n} units" for one in (good, bad))),
        ("contract", *(f"version {one.contract_version}" for one in (good, bad))),
        ("seed", *(str(one.seed) for one in (good, bad))),
        ("code", *(one.code for one in (good, bad))),
    ]
    table.add_row("", marked(mark(good.word)), marked(mark(bad.word)))
    for row in rows:
        table.add_row(*row)
    return table


def _step(step: Tried) -> Text:
    """A run that was made, and what came of it."""
    text = Text(f"Ran {step.what}: ").append_text(marked(mark(step.word)))
    if step.estimate is not None:
        text.append(f", {number(step.estimate)}")
    if step.same_bits_as:
        text.append(f", the same bits as {step.same_bits_as}")
    elif step.share is not None:
        text.append(f", {100 * step.share:.0f} % of the way from the good run's estimate to the bad one's")
    return text.append(f" ({_cost(step.cpu_seconds)})", style="bright_black")


def _side(sign: str, text: str | None) -> str:
    return "".join(f"{sign} {line}\n" for line in (text or "").splitlines())
