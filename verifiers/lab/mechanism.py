"""How a gap may come about (arXiv:2605.25459): does entropy follow surprise, is the topic settled before the first
token, and does a foreign beginning bring the uncertainty back? All of one model in one story world.
"""

import math

import torch
from torch import Generator, Tensor

from verifiers.lab import story
from verifiers.lab.sampling import LanguageModel, Reading, read, write

ENDPOINTS = ("surprise_slope", "swap_slope", "topic_left", "rebound")
PREFILL = 5  # tokens of a foreign beginning
BINS = 8  # of mean surprise, in which beginnings are compared
BEGINNINGS = 1024  # of each kind
NO_PARTNERS = "too few beginnings on another topic are as little surprising as those on the model's own"
ENOUGH = 64  # beginnings that must have a partner as surprising as they are


def changes(
    world: story.Story, before: LanguageModel, after: LanguageModel, texts: int, chance: Generator
) -> dict[str, float | str]:
    """What post-training changed in one lineage: AFTER against BEFORE, on TEXTS texts that each wrote."""
    (old_texts, old), (new_texts, new) = (
        write(model, story.prompts(texts), story.LENGTH, chance) for model in (before, after)
    )
    topic = int(story.topic_of(world, new_texts).mode().values)  # what it writes of most
    again = [rebound(model, world, topic, BEGINNINGS, chance) for model in (after, before)]
    return {
        "surprise_slope": surprise_slope(new) - surprise_slope(old),
        "swap_slope": swap_slope(after, world, new_texts, chance) - swap_slope(before, world, old_texts, chance),
        "topic_left": topic_entropy(world, new_texts) / topic_entropy(world, old_texts),
        "rebound": again[0] - again[1] if again[0] is not None and again[1] is not None else NO_PARTNERS,
    }


def surprise_slope(reading: Reading) -> float:
    """By how many nats the next entropy rises for each nat of surprise at a token, on own text.

    Least squares of H[t + 1] on surprise[t] and H[t], every position about its own mean: what of surprise H[t] does not
    explain, against H[t + 1] (Frisch and Waugh 1933). Sums, because LAPACK's last bit depends on where tensors lie.
    """
    surprise, now, following = (
        (x - x.mean(0)).flatten()
        for x in (
            reading.surprise[:, 1:-1].double(),
            reading.entropy[:, 1:-1].double(),
            reading.entropy[:, 2:].double(),
        )
    )
    alone = surprise - now * (surprise * now).sum() / (now * now).sum()
    return float((alone * following).sum() / (alone * alone).sum())


def swap_slope(model: LanguageModel, world: story.Story, texts: Tensor, chance: Generator) -> float:
    """The same slope by intervention: in each of TEXTS (B, 1 + T) one token gives way to another that its topic's
    chain allows there, and the next entropy is read again.

    Least squares through the origin of the change of H[t + 1] on the change of surprise[t].
    """
    rows = torch.arange(len(texts))
    place = torch.randint(3, texts.shape[1] - 1, (len(texts),), generator=chance)  # which token is swapped
    topic = story.topic_of(world, texts)
    allowed = world.chains[topic, texts[rows, place - 1]] > 0  # (B, N)
    allowed[rows, texts[rows, place]] = False
    kept = allowed.any(-1)
    rows, place, texts = torch.arange(int(kept.sum())), place[kept], texts[kept]
    swapped = texts.clone()
    swapped[rows, place] = torch.multinomial(allowed[kept].float(), 1, generator=chance)[:, 0]
    one, other = read(model, texts), read(model, swapped)
    rise = (other.entropy - one.entropy)[rows, place].double()  # entropy[t] is read before token t + 1 of the text
    surplus = (other.surprise - one.surprise)[rows, place - 1].double()
    return float((rise * surplus).sum() / (surplus * surplus).sum())


def topic_entropy(world: story.Story, texts: Tensor) -> float:
    """The entropy in nats of what TEXTS (B, 1 + T), written on an open prompt, are about."""
    share = torch.bincount(story.topic_of(world, texts), minlength=story.TOPICS).double() / len(texts)
    return float(-torch.special.xlogy(share, share).sum())


def rebound(model: LanguageModel, world: story.Story, topic: int, count: int, chance: Generator) -> float | None:
    """Log of the entropy after a beginning on another topic over the entropy after one on TOPIC, equally surprising.

    The world's authors write both kinds of beginning (COUNT each), so neither is the model's own; other topics share no
    token with TOPIC. Beginnings are compared inside bins of mean surprise. None where too few have a partner.
    """
    others = [(topic + step) % story.TOPICS for step in (2, 3, 4)]
    same, other = (_after(model, story.write(story.only(world, on), count, chance)) for on in ([topic], others))
    edges = torch.cat([same[0], other[0]]).quantile(torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1])
    same_bin, other_bin = (torch.bucketize(surprise, edges) for surprise, _ in (same, other))
    total = matched = 0.0
    for one in range(BINS):
        here, there = same[1][same_bin == one], other[1][other_bin == one]
        weight = min(len(here), len(there))
        if weight:
            total += weight * (math.log(float(there.mean())) - math.log(float(here.mean())))
            matched += weight
    return total / matched if matched >= ENOUGH else None


def _after(model: LanguageModel, texts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean surprise of the first PREFILL tokens, and the entropy right after them; both (B,)."""
    reading = read(model, texts[:, : PREFILL + 2])
    return reading.surprise[:, :PREFILL].double().mean(1), reading.entropy[:, PREFILL].double()
