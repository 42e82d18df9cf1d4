"""Gates of `collapse_fit`: a run speaks of the law only where its base was a good one and its training did what it names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Generator

from verifiers.lab import collapse_lab, path, path_bases
from verifiers.lab.collapse_lab import GRPO, WORLD, Name, Raised
from verifiers.lab.fits import Run
from verifiers.lab.path_bases import EXCESS, PRETRAINING, QUALITY, Base
from verifiers.lab.randomness import stream
from verifiers.lab.rewards import Reward, random_reward, swapped
from verifiers.measurement import Control

# Healthy runs win nine tenths and more of what there is to win; a random or swapped reward wins nothing.
LEARNED = 0.25
SPAN = 1.0  # nats
REACHED = 0.75
SHORT = 61  # steps, in which a healthy run wins half of what there is to win


@dataclass(frozen=True)
class Gated:
    """What a unit's training came to."""

    quality: float  # of the base: success as a share of its author's
    excess: float  # nats a token of the base's loss above its author's
    learned: float | None  # share won of the reward that was to be won; None: it was not to learn
    span: float | None  # nats that entropy went through; None: nothing was asked of it


def of_run(subject: str, raised: Raised) -> Gated | None:
    """The gates of a unit of the laboratory; none for a bandit, which has nothing to be trained before."""
    if raised.base is None:
        return None
    learned = None if subject == "collapse-random-reward" else won(raised.run)
    return _gated(raised.base, learned, float(np.ptp(raised.run.entropy)) if subject == "collapse" else None)


def _gated(base: Base, learned: float | None, span: float | None = None) -> Gated:
    return Gated(base.quality, base.excess, learned, span)


def won(run: Run) -> float:
    """The share of the reward that was to be won at the start that a run has won at its end."""
    return float((run.score[-1] - run.score[0]) / (1 - run.score[0]))


def controls(gated: Sequence[Gated]) -> tuple[Control, ...]:
    """What the gates say of a run; nothing where nothing was trained."""
    if not gated:
        return ()
    check = Control.within
    found = [
        check("bases succeed as their author does", "gate", min(x.quality for x in gated), 1.0, 1 - QUALITY),
        check("bases read well", "gate", max(x.excess for x in gated), 0.0, EXCESS),
    ]
    if learned := [x.learned for x in gated if x.learned is not None]:
        found.append(check("reward rose", "gate", min(learned), 1.0, 1 - LEARNED))
    if spans := [x.span for x in gated if x.span is not None]:
        reached = sum(span > SPAN for span in spans) / len(spans)
        found.append(check("entropy spans a nat", "gate", reached, 1.0, 1 - REACHED))
    return tuple(found)


# --- breaks that need training, each short -----------------------------------------------------------------------------

BREAKS: Mapping[str, Callable[[Reward, Generator], Reward]] = {
    "unlearned base": lambda named, _: named,
    "random reward": lambda _, chance: random_reward(chance),
    "swapped reward": lambda named, _: swapped(named),
}


def of_short_training(broken: str, name: Name, folder: Path) -> Gated:
    """The gates of one short run whose training is BROKEN, from a base that all such runs share if that is not broken."""
    if broken == "unlearned base":
        world = path.draw(WORLD, stream(*name, "world"))
        model = path_bases.raised(world, name, replace(PRETRAINING, steps=60))
        quality, excess = path_bases.quality_of(model, world), path_bases.excess_of(model, world, name)
        return Gated(quality, excess, None, None)
    base = path_bases.base(WORLD, ("collapse_fit", "breaks"), PRETRAINING, folder)
    reward = BREAKS[broken](partial(path.reward, base.world), stream(*name, "reward"))
    scored = partial(collapse_lab.success, base.world)
    trained = collapse_lab.train_run(
        base.model, replace(GRPO, longest=SHORT), reward, scored, stream(*name, "training")
    )
    return _gated(base, won(trained.run))
