"""Sleeps, and draws eight numbers."""

import random
import time
from collections.abc import Callable

from verifiers.measurement import Control, Findings, Request
from verifiers.registry import find


def measure(request: Request, report: Callable[[int, int, float], None]) -> Findings:
    """Take as long as the parameter `seconds` says; the numbers follow from the seed alone."""
    verifier = find("trivial")
    said = verifier.checked(request.parameters)
    chance, units = random.Random(request.seed), request.units or 8  # noqa: S311 - seeds are no secret
    for done in range(1, units + 1):
        time.sleep(said["seconds"] / units)
        report(done, units, 0.0)
    values = [said["truth"] + chance.gauss(0, 0.3) for _ in range(units)]
    control = Control.within("sight", "positive", 0.0, 0.0, 0.1)
    return Findings(
        unit="a number", endpoints=(verifier.endpoint("size").filled(values),), controls=(control,), settings={}
    )
