"""The world `story`: an open prompt, and topics that are rotations of one sparse Markov chain.

A text is LENGTH content tokens after a start token that says nothing. Its author first picks one of TOPICS topics,
all equally likely, and never leaves it; inside a topic every token has SUCCESSORS possible successors. Topic k is the
template with each token moved on by k·STRIDE, so no topic is easier than another: with topics of unequal difficulty
two post-trained lineages collapse onto the same easy one, and each other's text is on-policy for both. Neighbouring
topics share half their tokens, so a reader has to infer the topic, and the exact inference is known (`predictive`).

The reward pays for style, not for topic: of every token's successors PREFERRED are preferred, and a text earns the
share of its bigrams that are preferred in the topic that suits it best. No topic is worth more than another.

A corner of a world is a world too: `only` some of its topics, or a `sharp` author of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from verifiers.lab.randomness import categorical

TOPICS = 6
CONTENT = 24  # tokens that can be written
LOCAL = 8  # of which a topic uses
SUCCESSORS = 4
PREFERRED = 2
LENGTH = 20  # content tokens of a text
STRIDE = CONTENT // TOPICS
START = CONTENT  # the token that begins a text
VOCABULARY = CONTENT + 1


@dataclass(frozen=True)
class Story:
    """One world. Letters: K topics, L tokens of a topic, N content tokens."""

    members: Tensor  # (K, L) the tokens of each topic; a text's first token is uniform over them
    chains: Tensor  # (K, N, N) transition probabilities
    preferred: Tensor  # (K, N, N) what the reward pays for
    topics: tuple[int, ...] = tuple(range(TOPICS))  # those that are written of and paid for, all equally likely


def draw(generator: Generator) -> Story:
    """Draw a world: the template's successors, their probabilities, and the preferred half of them."""
    template = torch.zeros(LOCAL, LOCAL)
    liked = torch.zeros(LOCAL, LOCAL, dtype=torch.bool)
    for here in range(LOCAL):
        successors = torch.randperm(LOCAL, generator=generator)[:SUCCESSORS]
        weights = -torch.log(
            torch.rand(SUCCESSORS, generator=generator)
        )  # normalised exponentials: Dirichlet(1, 1, 1, 1)
        template[here, successors] = 0.5 / SUCCESSORS + 0.5 * weights / weights.sum()
        liked[here, successors[torch.randperm(SUCCESSORS, generator=generator)[:PREFERRED]]] = True
    members = (torch.arange(LOCAL) + STRIDE * torch.arange(TOPICS)[:, None]) % CONTENT
    chains = torch.zeros(TOPICS, CONTENT, CONTENT)
    preferred = torch.zeros(TOPICS, CONTENT, CONTENT, dtype=torch.bool)
    for topic, tokens in enumerate(members):
        chains[topic, tokens[:, None], tokens] = template
        preferred[topic, tokens[:, None], tokens] = liked
    return Story(members, chains, preferred)


def only(world: Story, topics: Sequence[int]) -> Story:
    """The corner of WORLD in which only TOPICS are written of, and paid for."""
    return replace(world, topics=tuple(topics))


def sharp(world: Story, generator: Generator) -> Story:
    """The corner of one sharp author: every successor's weight raised or lowered at random, and the
    result sharpened to a fifth of its temperature.
    """
    taste = torch.randn(world.chains.shape, generator=generator).mul(2.0).exp()
    weights = (world.chains * taste) ** 5
    return replace(world, chains=weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo().tiny))


def write(world: Story, count: int, generator: Generator) -> Tensor:
    """Let the world's own authors write COUNT texts: (B, 1 + LENGTH) tokens, the start token first."""
    texts, _ = write_on_topics(world, count, generator)
    return texts


def write_on_topics(world: Story, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """COUNT texts of the world's own authors (B, 1 + LENGTH), and the topic of each (B,)."""
    topic = torch.tensor(world.topics)[torch.randint(len(world.topics), (count,), generator=generator)]
    tokens = [torch.full((count,), START), world.members[topic, torch.randint(LOCAL, (count,), generator=generator)]]
    for _ in range(LENGTH - 1):
        tokens.append(categorical(world.chains[topic, tokens[-1]], generator))
    return torch.stack(tokens, dim=1), topic


def prompts(count: int) -> Tensor:
    """COUNT open prompts (B, 1): the start token, which says nothing."""
    return torch.full((count, 1), START)


def predictive(world: Story, texts: Tensor) -> Tensor:
    """The exact Bayes filter's next-token probabilities (B, LENGTH, N) on TEXTS (B, 1 + LENGTH).

    Step t is p(x_t | x_1 … x_{t−1}) with the topic summed out: belief over topics, times each topic's chain.
    """
    count = texts.shape[0]
    start = torch.zeros(TOPICS, CONTENT).scatter_(1, world.members, 1 / LOCAL)
    belief = torch.zeros(count, TOPICS)
    belief[:, list(world.topics)] = 1 / len(world.topics)
    emission = start.expand(count, -1, -1)  # (B, K, N)
    steps = []
    for position in range(1, LENGTH + 1):
        steps.append(torch.einsum("bk,bkn->bn", belief, emission))
        token = texts[:, position]
        belief = belief * emission.gather(2, token[:, None, None].expand(-1, TOPICS, 1))[..., 0]
        belief = belief / belief.sum(-1, keepdim=True)
        emission = world.chains[:, token].transpose(0, 1)
    return torch.stack(steps, dim=1)


def reward(world: Story, texts: Tensor) -> Tensor:
    """The share (B,) of each text's bigrams that are preferred in the topic that suits the text best."""
    return world.preferred[list(world.topics)][:, texts[:, 1:-1], texts[:, 2:]].float().mean(-1).amax(0)


def topic_of(world: Story, texts: Tensor) -> Tensor:
    """The topic (B,) in which most of each text's bigrams are possible: what a text is about, for an exact reader."""
    return (world.chains[:, texts[:, 1:-1], texts[:, 2:]] > 0).float().mean(-1).argmax(0)
