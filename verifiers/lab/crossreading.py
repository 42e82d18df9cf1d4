"""Two models write, and each reads both: the four mean entropies that every statement about own text is made of."""

import math
from dataclasses import dataclass

from torch import Generator, Tensor

from verifiers.lab.instrument import HEALTHY, Instrument
from verifiers.lab.sampling import LanguageModel


@dataclass(frozen=True)
class Crossreading:
    """E[i, j] in nats: model i reading texts that model j wrote; mean over texts and positions, the first left out."""

    aa: float
    ab: float
    ba: float
    bb: float
    replay: float  # largest |entropy when written − entropy when the same text was read again|, nats

    @property
    def log_interaction(self) -> float:
        """Log G = ½ (log E[a, b] + log E[b, a] − log E[a, a] − log E[b, b]): cancels hard texts and sure models."""
        return 0.5 * (math.log(self.ab) + math.log(self.ba) - math.log(self.aa) - math.log(self.bb))

    @property
    def gap(self) -> float:
        """The same contrast in nats, without logarithms."""
        return 0.5 * (self.ab + self.ba - self.aa - self.bb)

    @property
    def own(self) -> float:
        """Mean entropy on own text, nats."""
        return 0.5 * (self.aa + self.bb)


def crossread(
    a: LanguageModel,
    b: LanguageModel,
    prompts: Tensor,
    length: int,
    chance: Generator,
    instrument: Instrument = HEALTHY,
) -> Crossreading:
    """Let both models write LENGTH tokens after each of PROMPTS (B, 1), and both read all of it."""
    (by_a, writing_a), (by_b, writing_b) = (instrument.write(model, prompts, length, chance) for model in (a, b))
    by_a, by_b = instrument.assign(by_a, by_b)
    aa, bb = instrument.read(a, by_a), instrument.read(b, by_b)
    replay = max(float((x.entropy - y.entropy).abs().max()) for x, y in ((aa, writing_a), (bb, writing_b)))
    ab, ba = instrument.read(a, by_b), instrument.read(b, by_a)
    return Crossreading(aa.mean_entropy(), ab.mean_entropy(), ba.mean_entropy(), bb.mean_entropy(), replay)
