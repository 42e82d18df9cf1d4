"""The laboratory beside what a user would pick instead, on the same work, taking turns: `python -P benchmarks/lab.py [--json]`.

Sampling is set beside Hugging Face `generate` with a key-value cache, a GRPO step beside a step of TRL's `GRPOTrainer`. Both run a
GPT-2 built on the spot with the same width, depth, heads, perceptron, vocabulary and tokens, in float32 on one thread. Ours and theirs
take turns, so that whatever else the machine does meets both; ratios are medians over turns, with the middle half behind. Below stand
what the pieces of a unit cost, and the share of the machine's own matrix multiplication that is reached.
"""

import argparse
import importlib.util
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verifiers.lab import story
from verifiers.lab.model import Decoder, Shape
from verifiers.lab.policy_gradient import PolicyGradient, train
from verifiers.lab.randomness import seeded, stream
from verifiers.lab.sampling import Reading, read, write
from verifiers.lab.training import Pretraining, pretrain

GROUP = 8  # samples of one prompt
WARM_UP = 3  # turns that are not counted
INSTALL = ".venv/bin/pip install -c .venv/torch.txt -c constraints.txt --editable '.[bench]'"
GOALS = {"sampling": 1.5, "GRPO step": 2.0}
SIMPLER = {
    "sampling": "ours has no end token, no padding, no truncation and no logits processors, keeps keys and values in one block made at the "
    "start, draws by inversion and has no biases; it returns the entropy and surprise of every token as well, which generate does not",
    "GRPO step": "ours takes tokens instead of strings, has no reference model, no clip (with one update a rollout neither bites), no "
    "completion mask and few diagnostics, and does not read the last token; it starts Adam anew at every step timed here, while TRL's "
    "loading of prompts between steps is not counted. Both: one update a rollout, no divergence term, gradient norm 1, fused Adam",
}


@dataclass(frozen=True)
class Case:
    """Work to be done: `texts` of `shape.length` tokens, each after one start token."""

    name: str
    shape: Shape
    texts: int

    def model(self) -> Decoder:
        """Our network, untrained."""
        with seeded("benchmark", self.name):
            return Decoder(self.shape)

    def prompts(self, count: int) -> Tensor:
        """The start token, COUNT times (count, 1)."""
        return torch.full((count, 1), self.shape.vocabulary - 1)

    @property
    def forward_flops(self) -> float:
        """Floating-point operations of one pass over all texts: two for each multiply-add in matrices and attention."""
        shape = self.shape
        weights = (
            shape.layers * (4 + 2 * shape.expansion) * shape.width**2 + (shape.vocabulary - 1) * shape.width
        )  # of a token
        attention = (
            shape.layers * shape.width * (shape.length + 1)
        )  # keys and values: half of the positions, on average
        return 2.0 * self.texts * shape.length * (weights + attention)


CASES = (
    Case("story, 256 x 20", Shape(story.VOCABULARY, story.LENGTH), 256),
    Case("d=32 L=2, 192 x 16", Shape(story.VOCABULARY, 16), 192),
    Case("d=64 L=3, 192 x 16", Shape(89, 16, width=64, layers=3, heads=4), 192),
    Case("d=128 L=4, 192 x 16", Shape(89, 16, width=128, layers=4, heads=4), 192),
)


# --- clocks ----------------------------------------------------------------------------------------------------------


class Clock:
    """What each turn took, in milliseconds on the wall and of the processor; a turn is a `with` block."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def __enter__(self) -> None:
        self.begun = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall.append(1000 * (time.perf_counter() - self.begun[0]))
        self.cpu.append(1000 * (time.process_time() - self.begun[1]))

    def medians(self, skipped: int = WARM_UP) -> dict[str, float]:
        """The median turn, without those of the warm-up."""
        return {"wall": statistics.median(self.wall[skipped:]), "cpu": statistics.median(self.cpu[skipped:])}


def cost(work: Callable[[], object], turns: int) -> dict[str, float]:
    """The median time of WORK."""
    clock = Clock()
    for _ in range(WARM_UP + turns):
        with clock:
            work()
    return clock.medians()


def beside(case: Case, passes: int, ours: Clock, theirs: Clock) -> dict[str, Any]:
    """Both medians, the quartiles of theirs over ours turn by turn, and what ours reaches when it is worth so many
    PASSES forward.
    """

    def quartiles(ours: list[float], theirs: list[float]) -> list[float]:
        return statistics.quantiles([b / a for a, b in zip(ours, theirs, strict=True)][WARM_UP:], n=4)

    return {
        "case": case.name,
        "ours": ours.medians(),
        "theirs": theirs.medians(),
        "wall_ratio": quartiles(ours.wall, theirs.wall),
        "cpu_ratio": quartiles(ours.cpu, theirs.cpu),
        "gflops": passes * case.forward_flops / ours.medians()["cpu"] / 1e6,
    }


# --- the alternatives ------------------------------------------------------------------------------------------------


def gpt2(case: Case) -> Any:
    """Hugging Face's GPT-2 in our shape, with biases, and without the end token that would cut texts short."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = case.shape
    config = GPT2Config(
        vocab_size=shape.vocabulary,
        n_positions=shape.length + 1,
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.heads,
        n_inner=shape.expansion * shape.width,
        activation_function="relu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=False,
    )
    with seeded("benchmark", case.name, "gpt2"):
        return GPT2LMHeadModel(config)


def sampling(case: Case, turns: int) -> dict[str, Any]:
    """Write the texts of CASE with each model in turn."""
    model, other, chance = case.model(), gpt2(case).eval(), stream("benchmark", case.name)
    prompts, length = case.prompts(case.texts), case.shape.length
    asked: dict[str, Any] = {
        "do_sample": True,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "use_cache": True,
        "pad_token_id": 0,
    }
    asked |= {"min_new_tokens": length, "max_new_tokens": length, "attention_mask": torch.ones_like(prompts)}
    ours, theirs = Clock(), Clock()
    for _ in range(WARM_UP + turns):
        with ours:
            write(model, prompts, length, chance)
        with theirs, torch.inference_mode():
            other.generate(prompts, **asked)
    return beside(case, 1, ours, theirs)


def share_of_ones(texts: Tensor) -> Tensor:
    """A reward (B,) that costs next to nothing."""
    return (texts == 1).float().mean(-1)


def grpo(case: Case, turns: int) -> dict[str, Any]:
    """Let TRL train on CASE; after each of its steps, take one of ours."""
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOTrainer

    ours, theirs, own = Clock(), Clock(), own_step(case)

    class Turns(TrainerCallback):
        """TRL's step runs from one call to the other; it holds sampling, reward, loss and update."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            theirs.__enter__()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            theirs.__exit__()
            with ours:
                own()

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        paid: list[float] = share_of_ones(torch.tensor(completion_ids)).tolist()
        return paid

    with tempfile.TemporaryDirectory() as folder:
        settings, prompts = trl_settings(case, WARM_UP + turns, folder), same_prompts(case)
        trainer = GRPOTrainer(gpt2(case), reward, settings, prompts, None, tokenizer(case), callbacks=[Turns()])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return beside(case, 4, ours, theirs)  # written, read, and back, which counts twice


def own_step(case: Case) -> Callable[[], None]:
    """One GRPO step of ours on the texts of CASE."""
    model, chance = case.model(), stream("benchmark", case.name, "grpo")
    settings = PolicyGradient(case.texts // GROUP, GROUP, "grpo", "tokens", longest=1)
    return lambda: train(model, settings, case.prompts, case.shape.length, share_of_ones, chance)


def trl_settings(case: Case, steps: int, folder: str) -> Any:
    """TRL's settings for the same step: all texts in one batch, one update, nothing logged or saved.

    Its defaults are temperature 1, no truncation, no divergence term, gradient norm 1 and fused AdamW.
    """
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=case.texts,
        num_generations=GROUP,
        max_completion_length=case.shape.length,
        max_steps=steps,
        learning_rate=1e-3,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
    )


def same_prompts(case: Case) -> Any:
    """The start token, as TRL wants it."""
    from datasets import Dataset

    return Dataset.from_dict({"prompt": [f"t{case.shape.vocabulary - 1}"] * 1000})


def tokenizer(case: Case) -> Any:
    """One word a token. The end token is one more than the model can write, so that all texts have full length."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"t{token}": token for token in range(case.shape.vocabulary)} | {"<end>": case.shape.vocabulary}
    words_only = Tokenizer(models.WordLevel(words, unk_token="<end>"))  # noqa: S106 - not a password
    words_only.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words_only, eos_token="<end>", pad_token="<end>")  # noqa: S106 - not a password


# --- what a unit is made of ------------------------------------------------------------------------------------------


def matmul_gflops() -> float:
    """What one thread multiplies of large square float32 matrices, in 10⁹ operations a CPU-second."""
    size = 1024
    a, b = torch.randn(2, size, size, generator=stream("benchmark", "matmul"))
    return 2 * size**3 / cost(lambda: a @ b, 20)["cpu"] / 1e6


def pieces(turns: int) -> dict[str, dict[str, float]]:
    """What pretraining a base of the story world costs, and training on, writing and reading 256 texts."""
    case = CASES[0]
    model, chance, prompts = case.model(), stream("benchmark", "pieces"), case.prompts(case.texts)
    texts, _ = write(model, prompts, case.shape.length, chance)
    corpus = story.write(story.draw(chance), Pretraining().corpus, chance)
    once = Clock()
    with once:
        pretrain(case.model(), Pretraining(), corpus)
    return {
        "pretraining a story base": once.medians(skipped=0),
        "one GRPO step of 32 x 8 texts": cost(own_step(case), turns),
        "writing 256 texts": cost(lambda: write(model, prompts, case.shape.length, chance), turns),
        "reading 256 texts": cost(lambda: read(model, texts), turns),
    }


def update_gflops(case: Case, turns: int) -> float:
    """What a pass forward and back reaches; back counts twice."""
    model = case.model()
    texts = torch.randint(
        case.shape.vocabulary - 1, (case.texts, case.shape.length + 1), generator=stream("benchmark", case.name)
    )

    def forward_and_back() -> None:
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(Reading.of(model(texts[:, :-1]), texts[:, 1:]).surprise.mean())

    return 3 * case.forward_flops / cost(forward_and_back, turns)["cpu"] / 1e6


# --- the run ---------------------------------------------------------------------------------------------------------


def main() -> None:
    """Measure, and print for people or for programs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print numbers for programs: times in milliseconds")
    parser.add_argument("--turns", type=int, default=20)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = measured(asked.turns)
    print(json.dumps(found, indent=1) if asked.json else told(found))


def measured(turns: int) -> dict[str, Any]:
    """All numbers; what cannot run for want of a package is left out and named."""
    rate = matmul_gflops()
    updates = {case.name: update_gflops(case, turns) for case in CASES}
    found: dict[str, Any] = {"matmul_gflops": rate, "update_gflops": updates, "pieces": pieces(turns), "missing": {}}
    for name, package, work in (("sampling", "transformers", sampling), ("GRPO step", "trl", grpo)):
        if importlib.util.find_spec(package) is None:
            found["missing"][name] = f"{package} is not installed: {INSTALL}"
            continue
        with warnings.catch_warnings():
            quieten()
            found[name] = [work(case, turns) for case in CASES]
    return found


def quieten() -> None:
    """Their notices are about settings that this benchmark chose."""
    from transformers.utils import logging

    warnings.simplefilter("ignore")
    logging.set_verbosity_error()


def told(found: dict[str, Any]) -> str:
    """The same for people."""
    rate = found["matmul_gflops"]
    lines = [f"float32 matrix multiplication, one thread: {rate:.0f} GFLOP/s", "", "what a unit is made of"]
    lines += [f"  {name:30} {both(spent)}" for name, spent in found["pieces"].items()]
    lines += ["", "forward and back, share of that rate"]
    lines += [f"  {name:22} {100 * reached / rate:3.0f} %" for name, reached in found["update_gflops"].items()]
    for name, goal in GOALS.items():
        lines += ["", f"{name}: theirs over ours, to be at least {goal}"]
        lines += [compared(row, goal, rate) for row in found.get(name, [])]
        lines += [f"  simpler than theirs: {SIMPLER[name]}" if name in found else f"  {found['missing'][name]}"]
    return "\n".join(lines)


def compared(row: dict[str, Any], goal: float, rate: float) -> str:
    """One case on one line."""
    wall, cpu = (f"{median:.2f} [{low:.2f}, {high:.2f}]" for low, median, high in (row["wall_ratio"], row["cpu_ratio"]))
    short = "" if row["cpu_ratio"][1] >= goal else ", FALLS SHORT"
    share = f"{100 * row['gflops'] / rate:.0f} % of the rate"
    return f"  {row['case']:22} {wall} by the wall, {cpu} by CPU{short}; ours {both(row['ours'])}, {share}; theirs {both(row['theirs'])}"


def both(spent: dict[str, float]) -> str:
    """Wall and CPU time."""
    return f"{spent['wall']:.1f} ms ({spent['cpu']:.1f} CPU)"


if __name__ == "__main__":
    main()
