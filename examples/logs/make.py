"""Makes the logs of this folder: `python examples/logs/make.py`. Synthetic throughout; no model was trained for them.

`obeys/seed-*.csv`: eight runs, a file each, in the columns that a trainer writes: entropy at every step, a validation at every
fourth. Score is −a·exp(H) + b of that entropy, and the noise of a validation on 2,000 questions.
`drifts.csv`: eight runs in one file. Score rises along a logistic curve while entropy decays at a pace of its own: both go one
way, so the law seems to fit, and neither knows of the other.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

HERE = Path(__file__).parent
RUNS, STEPS, EVERY = 8, 120, 4
QUESTIONS = 2_000  # of a validation


def main() -> None:
    """Write all logs."""
    chance = np.random.default_rng(20250522)
    (HERE / "obeys").mkdir(exist_ok=True)
    for run in range(RUNS):
        entropy = decay(chance)
        score = validated(0.68 + 0.05 * chance.normal() - 0.11 * np.exp(entropy), chance)
        rows = [
            {"step": step, "entropy": f"{entropy[step]:.4f}", "val_accuracy": score[step] if step % EVERY == 0 else ""}
            for step in range(STEPS + 1)
        ]
        write(HERE / "obeys" / f"seed-{run}.csv", rows)
    drifting = []
    for run in range(RUNS):
        entropy, middle = decay(chance), chance.uniform(24, 36)
        score = validated(0.2 + 0.4 / (1 + np.exp(-(np.arange(STEPS + 1) - middle) / 10)), chance)
        drifting += [
            {"run": f"seed-{run}", "step": step, "H": f"{entropy[step]:.4f}", "R": score[step]}
            for step in range(0, STEPS + 1, EVERY)
        ]
    write(HERE / "drifts.csv", drifting)


def decay(chance: Generator) -> NDArray[np.float64]:
    """Entropy at every step, nats: a decay with wiggles that last a few steps."""
    steps = np.arange(STEPS + 1)
    wiggle = np.zeros(STEPS + 1)
    for step in steps[1:]:
        wiggle[step] = 0.8 * wiggle[step - 1] + 0.03 * chance.normal()
    falling = chance.uniform(1.2, 1.4) * np.exp(-steps / chance.uniform(20, 35)) + chance.uniform(0.05, 0.12)
    return np.asarray(falling * np.exp(wiggle))


def validated(truth: NDArray[np.float64], chance: Generator) -> list[str]:
    """The share of questions that come out right where TRUTH is how likely each is to."""
    return [f"{right / QUESTIONS:.3f}" for right in chance.binomial(QUESTIONS, np.clip(truth, 0, 1))]


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """One CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
