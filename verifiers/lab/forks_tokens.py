"""What sets uncertain tokens apart, in a base and in what training made of it, with no other training to compare.

Four questions of arXiv:2506.01939, each beside what would be found without anything special: how concentrated entropy is,
against an exponential distribution; what a changed temperature at uncertain tokens costs, against the same divergence
spent on the others; whether training keeps the uncertain positions, against changes that drifted as far; and whether
uncertain tokens are where the outcome is decided, by forcing the alternatives.

Letters in shape comments: B texts, T tokens of a response, V tokens that can be written, C correct texts.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from verifiers.lab import path
from verifiers.lab.fine_tuning import FineTuning, fine_tune
from verifiers.lab.model import Decoder
from verifiers.lab.path import PROMPT, Path
from verifiers.lab.path_bases import Base, Name, divergence
from verifiers.lab.randomness import stream
from verifiers.lab.sampling import LanguageModel, read, write
from verifiers.lab.training import Weights, copied

TOP = 0.2  # of the tokens
CERTAIN = 0.01  # nats
EXPONENTIAL = TOP * (
    1 - math.log(TOP)
)  # share of the total that the top fifth of an exponential distribution has: 0.52
SPENT = 0.05  # nats of divergence a response, at which temperatures are compared
FORK = 0.10  # of the positions, those where the alternatives differ most, are outcome forks
TUNING = FineTuning(texts=64, rate=1e-3, longest=30)  # on own samples; its change of weights is then scaled
BISECTIONS = 30

TEMPERATURE = ("cooling_asymmetry", "heating_asymmetry")


def looked_at(base: Base, end: Decoder, name: Name, count: int) -> dict[str, float | str]:
    """Every endpoint of this module for one unit: its BASE, and END, which learned from all tokens."""
    texts = own_texts(base.model, base.world, count, stream(*name, "tokens"))
    return {
        **concentration(read(base.model, texts, PROMPT).entropy),
        **temperatures(base, texts),
        **overlap_above_drift(base, end, name, count),
        **outcome_forks(base.model, base.world, texts),
    }


def own_texts(model: LanguageModel, world: Path, count: int, chance: Generator) -> Tensor:
    """COUNT texts (B, 2 + T) that MODEL wrote."""
    return write(model, path.prompts(count, chance), world.spec.length, chance)[0]


# --- (a) concentration -----------------------------------------------------------------------------------------------


def concentration(entropy: Tensor) -> dict[str, float | str]:
    """How much of the total the top fifth of ENTROPY (B, T) has, how many tokens have hardly any, and its 80 % quantile."""
    falling = entropy.flatten().double().sort(descending=True).values
    top = falling[: round(TOP * len(falling))]
    total = float(falling.sum())
    return {
        "top_fifth_of_entropy": float(top.sum()) / total if total else "there is no entropy to share out",
        "certain_tokens": float((falling < CERTAIN).double().mean()),
        "entropy_quantile": float(top[-1]),
    }


def spectrum(base: Base, name: Name, count: int, points: int = 50) -> dict[str, list[tuple[float, float]]]:
    """Entropies of the base's own tokens in falling order, at POINTS shares of them, and those of an exponential
    distribution with the same mean.
    """
    texts = own_texts(base.model, base.world, count, stream(*name, "tokens"))
    falling = read(base.model, texts, PROMPT).entropy.flatten().double().sort(descending=True).values
    shares = [(point + 0.5) / points for point in range(points)]
    mean = float(falling.mean())
    return {
        "tokens": [(share, float(falling[int(share * len(falling))])) for share in shares],
        "exponential of the same mean": [(share, -mean * math.log(share)) for share in shares],
    }


# --- (b) temperature -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PartlyTempered:
    """A model with a temperature of its own where its entropy is at THRESHOLD and above, or where it is below."""

    model: LanguageModel
    temperature: float
    threshold: float
    above: bool

    def new_cache(self) -> Any:
        """What to hand to successive calls that each add one position."""
        return self.model.new_cache()

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        """Logits (B, T, V) after each of TOKENS (B, T)."""
        return self.applied(self.model(tokens, cache))

    def applied(self, logits: Tensor) -> Tensor:
        """LOGITS (B, T, V) where they are left alone, and divided by the temperature where not."""
        log_probability = logits.log_softmax(-1)
        uncertain = -(log_probability.exp() * log_probability).sum(-1, keepdim=True) >= self.threshold
        return torch.where(uncertain == self.above, logits / self.temperature, logits)


def temperatures(base: Base, texts: Tensor) -> dict[str, float | str]:
    """Loss of success for each nat of divergence, where it is spent on the top fifth less where it is spent on the rest;
    by cooling and by heating.
    """
    with torch.inference_mode():
        logits = base.model(texts[:, :-1])[:, PROMPT - 1 :]  # (B, T, V)
    entropy = read(base.model, texts, PROMPT).entropy.flatten()
    threshold = float(entropy.sort(descending=True).values[round(TOP * len(entropy)) - 1])
    before = float(path.success(base.model, base.world).mean())
    found: dict[str, float | str] = {}
    for asked, coldest, hottest in zip(TEMPERATURE, (0.05, 1.0), (1.0, 20.0), strict=True):
        losses: list[float] = []
        for above in (True, False):
            at = partial(PartlyTempered, base.model, threshold=threshold, above=above)
            temperature = at_divergence(at, logits, texts, coldest, hottest)
            if temperature is not None:
                after = float(path.success(at(temperature), base.world).mean())
                losses.append((before - after) / SPENT)
        short = f"no temperature of these tokens from {coldest:g} to {hottest:g} diverges by {SPENT:g} nats"
        found[asked] = losses[0] - losses[1] if len(losses) == 2 else short
    return found


def at_divergence(
    at: Callable[[float], PartlyTempered], logits: Tensor, texts: Tensor, coldest: float, hottest: float
) -> float | None:
    """The temperature within the bounds, one of which is 1, at which responses diverge by SPENT nats; None where none does.

    What the changed model would write is weighed out of TEXTS (B, 2 + T) that the model itself wrote with LOGITS.
    """
    one, far = (coldest, hottest) if coldest == 1.0 else (hottest, coldest)
    if spent_by(at(far), logits, texts) < SPENT:
        return None
    for _ in range(BISECTIONS):
        middle = math.sqrt(one * far)
        one, far = (one, middle) if spent_by(at(middle), logits, texts) >= SPENT else (middle, far)
    return math.sqrt(one * far)


def spent_by(changed: PartlyTempered, logits: Tensor, texts: Tensor) -> float:
    """KL(changed ‖ model) of a whole response in nats: at each token exact, over responses by their weights."""
    written = texts[:, PROMPT:, None]
    before, after = logits.double().log_softmax(-1), changed.applied(logits).double().log_softmax(-1)
    step = (after - before).gather(2, written)[..., 0]  # (B, T) log weight of each token
    weight = (step.cumsum(1) - step).exp()  # of what came before it
    return float((weight * divergence(after.exp(), before)).sum(1).mean())


# --- (c) overlap -----------------------------------------------------------------------------------------------------


def overlap_above_drift(base: Base, end: Decoder, name: Name, count: int) -> dict[str, float | str]:
    """The share of top-fifth positions that END and its base have in common, on responses of END; and how much it is above
    that of two changes of the base that diverge as far from it: noise on its weights, and training on its own samples.
    """
    chance = stream(*name, "drift")
    texts = own_texts(base.model, base.world, count, chance)
    here = copied(base.model)
    noise = {key: float(w.std()) * torch.randn(w.shape, generator=chance) for key, w in here.items()}
    tuned = copy.deepcopy(base.model)
    fine_tune(tuned, TUNING, lambda many: own_texts(base.model, base.world, many, chance), prompt=PROMPT)
    trained = {key: w - here[key] for key, w in copied(tuned).items()}
    kept = overlap(base.model, end, own_texts(end, base.world, count, chance))
    nulls = []
    for direction in (noise, trained):
        drifted = as_far(base.model, direction, far := drift(base.model, end, texts), texts)
        if drifted is None:
            why = f"a change of the base does not come to diverge by {far:.2g} nats a token"
            return {"overlap": kept, "overlap_above_drift": why}
        nulls.append(overlap(base.model, drifted, own_texts(drifted, base.world, count, chance)))
    return {"overlap": kept, "overlap_above_drift": kept - sum(nulls) / len(nulls)}


def overlap(one: LanguageModel, other: LanguageModel, texts: Tensor) -> float:
    """The share of the top-fifth positions of TEXTS by one model's entropy that the other's has too."""
    tops = []
    for model in (one, other):
        entropy = read(model, texts, PROMPT).entropy.flatten()
        tops.append(set(entropy.argsort(descending=True, stable=True)[: round(TOP * len(entropy))].tolist()))
    return len(tops[0] & tops[1]) / len(tops[0])


def drift(base: LanguageModel, model: LanguageModel, texts: Tensor) -> float:
    """KL(base ‖ model) in nats a token, on TEXTS that the base wrote."""
    with torch.inference_mode():
        before, after = (one(texts[:, :-1])[:, PROMPT - 1 :].double().log_softmax(-1) for one in (base, model))
        return float(divergence(before.exp(), after).mean())


def as_far(base: Decoder, direction: Weights, far: float, texts: Tensor) -> Decoder | None:
    """BASE moved along DIRECTION until it diverges by FAR; None if that is out of reach."""
    moved = copy.deepcopy(base)

    def at(scale: float) -> float:
        moved.load_state_dict({key: w + scale * direction[key] for key, w in copied(base).items()})
        return drift(base, moved, texts)

    low, high = 0.0, 0.01
    while at(high) < far:
        low, high = high, 2 * high
        if high > 1e3:
            return None
    for _ in range(BISECTIONS // 2):
        middle = (low + high) / 2
        low, high = (low, middle) if at(middle) >= far else (middle, high)
    at((low + high) / 2)
    return moved


# --- (f) outcome forks -----------------------------------------------------------------------------------------------


def outcome_forks(model: LanguageModel, world: Path, texts: Tensor) -> dict[str, float | str]:
    """How well entropy finds outcome forks of TEXTS (B, 2 + T) that MODEL wrote, as the area under the curve (1: always,
    0.5: not at all), of two kinds: where success depends most on which of the two likeliest tokens is forced, and where it
    varies most over tokens drawn from the model.
    """
    with torch.inference_mode():
        probability = model(texts[:, :-1])[:, PROMPT - 1 :].double().softmax(-1)  # (B, T, V)
    value = after_each(model, world, texts, probability.shape[-1])  # (B, T, V)
    first, second = probability.topk(2).indices.unbind(-1)
    forced = (value.gather(2, first[..., None]) - value.gather(2, second[..., None]))[..., 0].abs()
    mean = (probability * value).sum(-1, keepdim=True)
    drawn = (probability * (value - mean) ** 2).sum(-1)
    entropy = read(model, texts, PROMPT).entropy
    return {"forced_forks": found_by(entropy, forced), "drawn_forks": found_by(entropy, drawn)}


def after_each(model: LanguageModel, world: Path, texts: Tensor, tokens: int) -> Tensor:
    """The exact probability (B, T, V) of a correct response once each token is forced at each position of TEXTS."""
    correct = path.correct_texts(world, path.every_prompt())  # (C, 2 + T)
    log_probability = -read(model, correct, PROMPT).surprise.double()
    rest = log_probability.flip(1).cumsum(1).flip(1) - log_probability  # (C, T) of all tokens after this one
    value = torch.zeros(len(texts), texts.shape[1] - PROMPT, tokens, dtype=torch.float64)
    for row, text in enumerate(texts):
        same = (correct[:, :PROMPT] == text[:PROMPT]).all(1)
        answers, after = correct[same][:, PROMPT:], rest[same].exp()
        agrees = (answers == text[PROMPT:]).double().cumprod(1)
        so_far = torch.cat([torch.ones(len(answers), 1, dtype=torch.float64), agrees[:, :-1]], dim=1)
        value[row].T.scatter_add_(0, answers, so_far * after)
    return value


def found_by(entropy: Tensor, score: Tensor) -> float | str:
    """The chance that ENTROPY is higher at a fork than elsewhere, a tie counting half; forks are the FORK share of
    positions with the highest SCORE above 0.
    """
    flat, high = entropy.flatten().double(), score.flatten()
    chosen = high.argsort(descending=True, stable=True)[: round(FORK * len(high))]
    fork = torch.zeros(len(high), dtype=torch.bool)
    fork[chosen[high[chosen] > 0]] = True
    forks, others = flat[fork], flat[~fork].sort().values
    if not len(forks):
        return "no position decides the outcome"
    below, upto = (torch.searchsorted(others, forks, right=right).double() for right in (False, True))
    return float((below + upto).mean() / (2 * len(others)))
