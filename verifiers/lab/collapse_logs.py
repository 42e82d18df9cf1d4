"""Runs of a training log that somebody brings, as `collapse_fit` takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from verifiers.lab.fits import Run
from verifiers.measurement import Request
from verifiers.records import BadParameters
from verifiers.subjects import runlog


@dataclass(frozen=True)
class Log:
    """The runs of a log: those without intervention are units, the others stand beside them in order."""

    plain: Sequence[Run]
    arms: Mapping[str, Sequence[Run]]
    said: Mapping[str, Any]

    def beside(self, index: int) -> dict[str, Run]:
        """The runs that belong to the run of that number: of each arm the one with the same number, so that none of them
        stands beside two.
        """
        return {arm: runs[index] for arm, runs in self.arms.items() if index < len(runs)}


def read(request: Request, known: Sequence[str]) -> Log | None:
    """The log that is measured, if the subject is one; KNOWN are the arms that something is asked of.

    Raises:
        BadParameters: when every run in it is intervened.
    """
    if request.subject.scheme != "runlog":
        return None
    found = runlog.read(request.subject.locator, request.columns)
    runs: dict[str, list[Run]] = {}
    for one in found.runs:
        columns = (np.array(values, dtype=np.float64) for values in (one.step, one.entropy, one.score))
        runs.setdefault(_named(one.arm), []).append(Run(*columns))
    plain = runs.pop("", [])
    if not plain:
        raise BadParameters(
            f"every run of the log is of an arm ({', '.join(runs)}): leave the arm of the others empty, or call it none, "
            "control or baseline"
        )
    arms = {arm: runs[arm] for arm in known if arm in runs}
    sentences = [*found.said["sentences"], *_sentences(arms, sorted(runs.keys() - arms.keys()), known)]
    return Log(plain, arms, {**found.said, "sentences": sentences})


def _sentences(arms: Mapping[str, Sequence[Run]], unknown: Sequence[str], known: Sequence[str]) -> list[str]:
    """What is said of the runs that are of an arm."""
    said = [
        "Runs of an arm stand beside those without one in the order of reading, the first beside the first."
    ] * bool(arms)
    if unknown:
        said.append(f"Left out are the arms {', '.join(unknown)}: known are {', '.join(known)}.")
    return said


def _named(arm: str) -> str:
    """An arm in the spelling of the laboratory: `KL_Cov` and `kl-cov` are both "kl cov"."""
    return " ".join(arm.lower().replace("-", " ").replace("_", " ").split())
