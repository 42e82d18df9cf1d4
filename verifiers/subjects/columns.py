"""Which column of a log holds what, and in which unit: as asked, or by the few names that are known. Two columns that could
be meant are an error, and so is the reward of the training batches in place of a validation score.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from verifiers.subjects.tables import BadLog, Table

NAMES: Mapping[str, tuple[str, ...]] = {
    "step": ("step",),
    "entropy": ("entropy", "H"),
    "score": ("val_accuracy", "R", "reward"),
    "run": ("run",),
    "arm": ("arm",),
}
OPTIONAL = ("run", "arm")
UNITS: Mapping[str, Mapping[str, float]] = {
    "entropy": {"nats": 1.0, "bits": math.log(2)},
    "score": {"share": 1.0, "percent": 0.01},
}
TRAINING = frozenset("train training rollout rollouts batch critic actor".split())
VALIDATION = frozenset("val valid validation eval evaluation test heldout held".split())
PAID = frozenset("r reward rewards return returns".split())
# What only trainers log; a plain `reward` beside one of these is the reward of the training batches.
TRAINERS = frozenset(
    "reward_std loss policy_loss value_loss pg_loss kl approx_kl mean_kl kl_loss completion_length num_tokens learning_rate lr "
    "advantages advantage grad_norm clip_ratio clip_fraction clipfrac pg_clipfrac frac_reward_zero_std response_length".split()
)
TRAINERS_FOLDERS = frozenset("rollout critic actor rewards completions train".split())


@dataclass(frozen=True)
class Asked:
    """Which columns and units the reader was told to take."""

    columns: Mapping[str, str]
    units: Mapping[str, str]

    @classmethod
    def of(cls, columns: Mapping[str, str]) -> "Asked":
        """Sort names from units.

        Raises:
            BadLog: for a column or a unit that nobody knows.
        """
        units = {what: next(iter(known)) for what, known in UNITS.items()}
        names: dict[str, str] = {}
        for key, said in columns.items():
            what = key.removesuffix("_unit")
            if key in NAMES:
                names[key] = said
            elif what in UNITS and said in UNITS[what]:
                units[what] = said
            elif what in UNITS:
                raise BadLog(f"{said!r} is no unit of {what}: there is {' and '.join(UNITS[what])}")
            else:
                raise BadLog(
                    f"a log has no {key!r}: columns are {', '.join(NAMES)}; units are those of {', '.join(UNITS)}"
                )
        return cls(names, units)

    @property
    def candidates(self) -> set[str]:
        """Every column that may be read."""
        return {name for names in NAMES.values() for name in names} | {*self.columns.values()}


def columns_of(read: Table, asked: Asked) -> dict[str, str]:
    """Which column of the file each quantity is read from.

    Raises:
        BadLog: when one is missing, two could be meant, or the score is a training reward.
    """
    found = {what: _column_of(what, read, asked) for what in NAMES}
    chosen = {what: name for what, name in found.items() if name is not None}
    for what, name in chosen.items():
        if shared := [other for other in chosen if other != what and chosen[other] == name]:
            raise BadLog(f"{read.label}: the column {name!r} cannot be the {what} and the {shared[0]}")
    _refuse_training_reward(read, chosen)
    return chosen


def _column_of(what: str, read: Table, asked: Asked) -> str | None:
    """The column of one quantity, as asked or by its usual names; None where it may be missing and is."""
    if what in asked.columns:
        name = asked.columns[what]
        if name not in read.names:
            raise BadLog(f"{read.label} has no column {name!r}; {_names(read)}")
        return name
    there = [name for name in NAMES[what] if name in read.names]
    if len(there) > 1:
        which = " and ".join(map(repr, there))
        raise BadLog(f"{read.label} has {which}: say which is the {what}, for example --column {what}={there[0]}")
    if not there and what not in OPTIONAL:
        usual = " or ".join(map(repr, NAMES[what]))
        raise BadLog(
            f"{read.label} has no column {usual}: say which is the {what}, --column {what}=NAME; {_names(read)}"
        )
    return there[0] if there else None


def _names(read: Table) -> str:
    shown = ", ".join(repr(name) for name in read.names[:30])
    return f"it has {shown}{' …' if len(read.names) > 30 else ''}"


def _refuse_training_reward(read: Table, chosen: Mapping[str, str]) -> None:
    score = chosen["score"]
    advice = (
        "the law is about a validation score. Say --column score=NAME with the column of a validation; if this is one after "
        f"all, call it val_{score.rpartition('/')[2]} in the file"
    )
    if says_validation(score):
        return
    if TRAINING & _parts(score) or score.lower().startswith("rewards/"):
        raise BadLog(f"{read.label}: {score!r} is by its name the reward of the training batches, and {advice}")
    signs = [name for name in read.names if name not in chosen.values() and _only_trainers_log(name)]
    if PAID & _parts(score) and signs:
        raise BadLog(
            f"{read.label}: {score!r} stands beside {signs[0]!r}, as the reward of the training batches does, and {advice}"
        )


def says_validation(name: str) -> bool:
    """Whether a column says by its name that it is of a validation."""
    return bool(VALIDATION & _parts(name))


def _parts(name: str) -> set[str]:
    """The words of a column's name: `valReward/mean@8` is val, reward, mean and 8."""
    return {*re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())}


def _only_trainers_log(name: str) -> bool:
    folder, _, last = name.lower().rpartition("/")
    return not says_validation(name) and (last in TRAINERS or folder.partition("/")[0] in TRAINERS_FOLDERS)
