"""The world `path`: from a start to a goal in a few clauses, each of them a choice and its execution.

A prompt is a start and a goal, two of STATES states. A response is a fixed number of clauses [op, fillers …, result]:
an op, the fillers that always follow this op, and the state that the op leads to from the state before. Every op is a
permutation of the states. So a response can fail in two ways, and a spec says how often and which of them cost the
reward: an op is a fork, where one may choose badly and miss the goal; a result is execution, where one may slip.

The world's author looks ahead with weight `competence`: it then picks an op in proportion to the ways to the goal that
begin with it, and otherwise any op. With probability `noise` it slips to one of the wrong states, and goes on from there.
A text hides nothing of what its author goes by, so the exact probability of every next token is known (`predictive`);
and correct responses are few enough to list, so a model's success is a sum over them and not a sample (`success`).

Tokens are the states 0 … 6, then the ops, then the fillers, and each of them can be written. A `Decoder` reads one
token that it never writes. A path has no such token, so the vocabulary counts a spare one that occurs in no text:
`Decoder(Shape(spec.vocabulary, spec.positions))` writes exactly the tokens of the world.

Letters in shape comments: B texts, C clauses, W tokens of a clause, T = C·W tokens of a response, O ops, S states.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from verifiers.lab.randomness import categorical
from verifiers.lab.sampling import LanguageModel, read

STATES = 7
FILLERS = 6  # filler tokens, in a world that has any
PROMPT = 2  # tokens of a prompt: the start, then the goal
APART = 4  # in at least so many states two ops differ
ATTEMPTS = 10_000  # draws of ops before a spec counts as impossible; those below need one or two


@dataclass(frozen=True)
class Spec:
    """What is fixed before a world is drawn. One token in 2 + `fillers` of a response is a fork."""

    ops: int = 4
    fillers: int = 3  # a clause
    clauses: int = 3
    competence: float = 0.5
    noise: float = 0.10
    needs_goal: bool = True  # else a response is correct wherever it ends, and ops do not matter

    @property
    def clause_length(self) -> int:
        """Tokens of a clause."""
        return 2 + self.fillers

    @property
    def length(self) -> int:
        """Tokens of a response."""
        return self.clauses * self.clause_length

    @property
    def positions(self) -> int:
        """Positions that a model reads: all of a text but its last token."""
        return PROMPT + self.length - 1

    @property
    def tokens(self) -> int:
        """Tokens that can be written."""
        return STATES + self.ops + (FILLERS if self.fillers else 0)

    @property
    def vocabulary(self) -> int:
        """Tokens that a model must be able to read: those, and the spare one."""
        return self.tokens + 1


CHOICES = Spec(noise=0.0)  # errors are choices: world F of the pilots
SLIPS = Spec(noise=0.15, needs_goal=False)  # errors are slips: world X
MIXED = Spec(noise=0.10)  # both: world M
COLLAPSE = Spec(ops=8, fillers=0, clauses=2, competence=0.3, noise=0.10)  # half of all tokens are forks


@dataclass(frozen=True)
class Path:
    """One world."""

    spec: Spec
    moves: Tensor  # (O, S) the state that an op leads to
    fillers: Tensor  # (O, fillers) the tokens that follow an op
    choice: Tensor  # (C, S, S, O) the author's probability of each op, by clause, goal and state
    outcome: Tensor  # (O, S, S) the author's probability of each result, by op and state


def draw(spec: Spec, generator: Generator) -> Path:
    """Draw a world: its ops, and the fillers of each.

    Specs that differ in competence, noise or what they pay for get the same ops and fillers from the same stream.

    Raises:
        ValueError: if no ops turn up that differ enough and reach every goal.
    """
    moves = _moves(spec, generator)
    fillers = STATES + spec.ops + torch.randint(FILLERS, (spec.ops, spec.fillers), generator=generator)
    right = F.one_hot(moves, STATES).bool()
    outcome = torch.where(right, 1 - spec.noise, spec.noise / (STATES - 1))
    return Path(spec, moves, fillers, _choice(spec, moves), outcome)


def _moves(spec: Spec, generator: Generator) -> Tensor:
    """Random permutations (O, S), any two APART and all together able to reach every goal from every start."""
    one, other = torch.combinations(torch.arange(spec.ops)).unbind(1)
    for _ in range(ATTEMPTS):
        moves = torch.stack([torch.randperm(STATES, generator=generator) for _ in range(spec.ops)])
        differ = ((moves[one] != moves[other]).sum(1) >= APART).all()
        if differ and (_ways(moves, spec.clauses) > 0).all():
            return moves
    raise ValueError(
        f"no {spec.ops} ops turned up of which any two differ in {APART} of {STATES} states, and which reach every goal in "
        f"{spec.clauses} clauses: ask for other numbers of ops and clauses"
    )


def _ways(moves: Tensor, count: int) -> Tensor:
    """How many sequences of COUNT ops lead from one state to another, (S, S): powers of the graph's adjacency matrix."""
    ways: Tensor = torch.linalg.matrix_power(F.one_hot(moves, STATES).sum(0).float(), count)
    return ways


def _choice(spec: Spec, moves: Tensor) -> Tensor:
    """The author's probability of each op, (C, S, S, O): all alike where no way leads to the goal any more."""
    onward = torch.stack([_ways(moves, spec.clauses - 1 - clause)[moves] for clause in range(spec.clauses)])
    onward = onward.permute(0, 3, 2, 1)  # (C, O, S, goal) to (C, goal, S, O)
    total = onward.sum(-1, keepdim=True)
    ahead = torch.where(total > 0, onward / total.clamp_min(1), 1 / spec.ops)
    return spec.competence * ahead + (1 - spec.competence) / spec.ops


def prompts(count: int, generator: Generator) -> Tensor:
    """COUNT prompts (B, 2), every start and goal equally likely."""
    return torch.randint(STATES, (count, PROMPT), generator=generator)


def every_prompt() -> Tensor:
    """All prompts there are (49, 2), in the order of `success`."""
    return torch.cartesian_prod(torch.arange(STATES), torch.arange(STATES))


def fork_positions(spec: Spec) -> Tensor:
    """Where in a response the ops stand: (C,), the first token being 0."""
    return torch.arange(0, spec.length, spec.clause_length)


def write(world: Path, prompts: Tensor, generator: Generator) -> Tensor:
    """Let the world's own author answer PROMPTS (B, 2): texts (B, 2 + T), prompt and response."""
    state, goal = prompts.unbind(1)
    pieces = [prompts]
    for clause in range(world.spec.clauses):
        op = categorical(world.choice[clause, goal, state], generator)
        state = categorical(world.outcome[op, state], generator)
        pieces.append(_clause(world, op, state))
    return torch.cat(pieces, dim=1)


def _clause(world: Path, op: Tensor, result: Tensor) -> Tensor:
    """The tokens (B, W) of clauses with ops OP and results RESULT, both (B,)."""
    return torch.cat([STATES + op[:, None], world.fillers[op], result[:, None]], dim=1)


def predictive(world: Path, texts: Tensor) -> Tensor:
    """The author's exact next-token probabilities (B, T, tokens) on TEXTS (B, 2 + T), slips and wrong fillers included.

    Raises:
        ValueError: if a text lacks an op or a state where one belongs, so that nothing can follow from it.
    """
    spec = world.spec
    clauses = texts[:, PROMPT:].reshape(-1, spec.clauses, spec.clause_length)  # (B, C, W)
    op, result = clauses[..., 0] - STATES, clauses[..., -1]  # (B, C)
    if not ((op >= 0) & (op < spec.ops) & (result < STATES)).all():
        raise ValueError(
            "each clause must begin with an op and end with a state: leave out the texts where one does not"
        )
    state = torch.cat([texts[:, :1], result[:, :-1]], dim=1)  # (B, C) in which each clause begins
    probability = torch.zeros(*clauses.shape, spec.tokens)  # (B, C, W, tokens)
    probability[:, :, 0, STATES : STATES + spec.ops] = world.choice[torch.arange(spec.clauses), texts[:, 1:2], state]
    probability[:, :, 1:-1].scatter_(3, world.fillers[op][..., None], 1.0)
    probability[:, :, -1, :STATES] = world.outcome[op, state]
    return probability.flatten(1, 2)


def reward(world: Path, texts: Tensor) -> Tensor:
    """1 for each text (B, 2 + T) that has no wrong token and, where the spec asks for it, ends at the goal; else 0."""
    ops = texts[:, PROMPT :: world.spec.clause_length] - STATES  # (B, C)
    ops = ops.clamp(0, world.spec.ops - 1)  # what is no op becomes one, and then differs from the text
    right = _flawless(world, texts[:, :PROMPT], ops)
    correct = (texts == right).all(1)
    if world.spec.needs_goal:
        correct &= texts[:, -1] == texts[:, 1]
    return correct.float()


def _flawless(world: Path, prompts: Tensor, ops: Tensor) -> Tensor:
    """The texts (B, 2 + T) that answer PROMPTS (B, 2) with OPS (B, C) and do everything else right."""
    state = prompts[:, 0]
    pieces = [prompts]
    for op in ops.unbind(1):
        state = world.moves[op, state]
        pieces.append(_clause(world, op, state))
    return torch.cat(pieces, dim=1)


def correct_texts(world: Path, prompts: Tensor) -> Tensor:
    """Every text (N, 2 + T) that answers one of PROMPTS (B, 2) correctly, in the order of the prompts."""
    spec = world.spec
    ops = torch.cartesian_prod(*[torch.arange(spec.ops)] * spec.clauses).view(-1, spec.clauses)
    texts = _flawless(world, prompts.repeat_interleave(len(ops), 0), ops.repeat(len(prompts), 1))
    return texts[reward(world, texts) > 0]


def success(model: LanguageModel, world: Path) -> Tensor:
    """The exact probability (49,) with which MODEL, at temperature 1, answers each of `every_prompt` correctly."""
    texts = correct_texts(world, every_prompt())
    return _by_prompt(texts, -read(model, texts, PROMPT).surprise)


def author_success(world: Path) -> Tensor:
    """The exact probability (49,) with which the world's own author answers each of `every_prompt` correctly."""
    texts = correct_texts(world, every_prompt())
    return _by_prompt(texts, predictive(world, texts).gather(2, texts[:, PROMPT:, None])[..., 0].log())


def _by_prompt(texts: Tensor, log_probability: Tensor) -> Tensor:
    """Add up the probabilities of TEXTS, given by the token as LOG_PROBABILITY (N, T), for each prompt."""
    prompt = STATES * texts[:, 0] + texts[:, 1]
    total = torch.zeros(STATES**PROMPT, dtype=torch.float64)
    return total.index_add(0, prompt, log_probability.double().sum(1).exp())
