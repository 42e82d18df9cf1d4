"""How long a standard run of entropy_gap takes, cold and from cached checkpoints: `python -P benchmarks/verdict.py`.

The alternative for the training inside it is the Muon that torch brings (`torch.optim.Muon`, matrix by matrix in bfloat16): one step of
each is timed in the same run on the same gradients.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch

from verifiers.lab.model import Decoder
from verifiers.lab.recipes import SHAPE
from verifiers.lab.training import Muon

MEASURE = (
    sys.executable,
    "-P",
    "-m",
    "stillholds",
    "measure",
    "entropy_gap",
    "--subject",
    "lab:story",
    "--seed",
    "1",
    "--json",
)


def main() -> None:
    """Print times and ratios."""
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm"):
            begun = time.perf_counter()
            done = subprocess.run(
                MEASURE, capture_output=True, text=True, check=True, env=os.environ | {"XDG_CACHE_HOME": cache}
            )
            said = json.loads(done.stdout)
            primary = said["endpoints"][0]
            print(
                f"{name}: {time.perf_counter() - begun:.0f} s wall, {said['provenance']['cpu_seconds']:.0f} CPU-seconds in "
                f"{said['provenance']['processes']} processes; {said['verdict']} {primary['estimate']:.2f} {primary['interval']}"
            )
    ours, theirs = steps()
    print(f"one Muon step: {1000 * ours:.2f} ms; torch.optim.Muon: {1000 * theirs:.2f} ms; ratio {ours / theirs:.2f}")


def steps() -> tuple[float, float]:
    """Median seconds of one step of each Muon on the laboratory's network."""
    torch.set_num_threads(1)
    model = Decoder(SHAPE)
    matrices = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
    for weight in matrices:
        weight.grad = torch.randn_like(weight)
    ours = Muon(matrices)
    theirs = torch.optim.Muon(matrices, lr=1e-3, weight_decay=0.0)
    return median(lambda: ours.step(1e-3)), median(theirs.step)


def median(work: Callable[[], object]) -> float:
    """The median of a hundred calls after ten."""
    spent = []
    for _ in range(110):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent[10:])


if __name__ == "__main__":
    main()
