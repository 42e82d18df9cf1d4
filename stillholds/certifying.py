"""What people see of a certificate while it is made, and when it is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.padding import Padding
from rich.progress import TaskID
from rich.text import Text

from claims.trial import Report
from stillholds.console import described_bar, notes, out
from stillholds.methods import wrong
from stillholds.words import seconds
from verifiers.registry import Certificate


@contextmanager
def progress() -> Iterator[Report]:
    """Show what is being made, how much of it is done, and at what cost; without a terminal only what begins."""
    bar = described_bar()
    began: dict[str, tuple[TaskID, float, int]] = {}

    def report(what: str, done: int, total: int, cpu_seconds: float) -> None:
        if what not in began:
            notes().print(f"{what}: {total - done} of {total} to make")
            began[what] = bar.add_task(what, total=total), time.monotonic(), done
        task, since, before = began[what]
        said = f"{what}: {done} of {total}, {cpu_seconds / 60:.1f} CPU-minutes"
        if before < done < total:
            said += f", about {seconds((time.monotonic() - since) / (done - before) * (total - done))} left"
        bar.update(task, completed=done, description=said, visible=done < total)

    try:
        with bar:
            yield report
    except KeyboardInterrupt:
        notes().print("Interrupted: the same command goes on where this one stopped.")
        raise


def summary(found: Certificate) -> None:
    """Whether it was granted, and the counts of its three levels."""
    head = Text(f"{found.verifier} {found.version}", style="bold")
    out().print(head.append("  certified" if found.granted else "  not granted", style="bright_black"))
    for reason in found.reasons:
        out().print(Padding(Text(f"– {reason}"), (0, 0, 0, 2)))
    for line in wrong(found)[:3]:
        out().print(Padding(Text(line), (1, 0, 0, 0)))
    caught = ", ".join(f"{one.name} {one.caught} of {one.n}" for one in found.instrument.breaks)
    bank, noise = found.bank, found.noise_floor
    for line in (
        f"Breaks that were caught: {caught or 'none is named'}.",
        f"Units of the complete runs: {bank.n}, with standard deviation {bank.sd:.3g} and skewness {bank.skewness:.2g}; runs share "
        f"{100 * bank.run_share:.2g} % of the variance.",
        f"Noise floor {noise.delta:g}; on planted subjects it errs by {noise.bias:.2g}.",
        f"{found.cost['cpu_s'] / 60:.0f} CPU-minutes.",
    ):
        out().print(Padding(Text(line), (1, 0, 0, 0)))
