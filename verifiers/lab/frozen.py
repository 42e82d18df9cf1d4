"""Weights that never change: the artefacts that controls are run on.

A control needs a known answer and fresh sampling noise only, so its models are trained once and shipped, pinned by
digest: two pretrained twins of one world (`before a`, `before b`) and one of them after post-training to an own
entropy of 0.45 nats (`after a`). `python -P -m verifiers.lab.frozen` makes them again; a change of `Decoder` needs
that, and a new DIGEST.
"""

import hashlib
from functools import partial
from pathlib import Path

from safetensors.torch import load, save_file

from verifiers.lab import story
from verifiers.lab.model import Decoder, Shape
from verifiers.lab.policy_gradient import Doses, PolicyGradient, train
from verifiers.lab.randomness import seeded, stream
from verifiers.lab.training import Pretraining, Weights, copied, pretrain

FILE = Path(__file__).parent / "data" / "story_twins.safetensors"
DIGEST = "41d0254619b45d5d6072c757424ed4b07f6e4790aa02c7da7f6ad52bf56f0d0e"
SHAPE = Shape(story.VOCABULARY, story.LENGTH)
OWN_ENTROPY = 0.45


def model(name: str) -> Decoder:
    """The frozen model of that name: `before a`, `before b` or `after a`.

    Raises:
        RuntimeError: when the file is not the one that the code was written for.
    """
    content = FILE.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != DIGEST:
        raise RuntimeError(
            f"{FILE} has the digest {digest[:12]}…, not {DIGEST[:12]}…: reinstall stillholds, or make it again as its module says"
        )
    decoder = Decoder(SHAPE)
    decoder.load_state_dict(
        {key.removeprefix(name + "/"): weight for key, weight in load(content).items() if key.startswith(name + "/")}
    )
    return decoder


def world() -> story.Story:
    """The world that the frozen models were raised in."""
    return story.draw(stream("frozen", "world"))


def make() -> str:
    """Train the artefacts, write them to FILE and return the new digest."""
    corner = world()
    tensors: Weights = {}
    for twin in ("a", "b"):
        with seeded("frozen", twin):
            decoder = Decoder(SHAPE)
        settings = Pretraining()
        pretrain(decoder, settings, story.write(corner, settings.corpus, stream("frozen", twin, "corpus")))
        tensors |= {f"before {twin}/{name}": weight for name, weight in copied(decoder).items()}
        if twin == "a":
            chance = stream("frozen", twin, "post-training")
            pay = partial(story.reward, corner)
            doses = Doses([OWN_ENTROPY])
            train(decoder, PolicyGradient(), story.prompts, story.LENGTH, pay, chance, doses.watch)
            after = doses.reached[OWN_ENTROPY].weights
            tensors |= {f"after {twin}/{name}": weight for name, weight in after.items()}
    FILE.parent.mkdir(exist_ok=True)
    save_file(tensors, FILE)
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


if __name__ == "__main__":
    print(make())  # noqa: T201 - a tool for whoever changes the decoder
