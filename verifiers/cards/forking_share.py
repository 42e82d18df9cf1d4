"""What is known of `forking_share` without running it."""

from collections.abc import Mapping

from verifiers.measurement import Statistic
from verifiers.records import EndpointSpec, ParameterSpec, ProfileSpec, SubjectFacts, Trial, Verifier

_WORLDS: Mapping[str, tuple[str, float]] = {  # what is said of each, and what a run costs beside the first
    "lab:path-mixed": ("whose errors are bad choices and slips", 1.0),
    "lab:path-choices": ("whose errors are bad choices alone", 1.0),
    "lab:path-slips": ("whose errors are slips alone", 1.1),
    "lab:path-mixed-eighth": ("with choices in an eighth of the tokens, and slips", 1.5),
    "lab:path-mixed-quarter": ("with choices in a quarter of the tokens, and slips", 0.9),
}
_PLANTED: Mapping[str, tuple[str, tuple[float, float, float]]] = {
    "planted:forks-borders": ("all three parts on their borders", (0.0, 0.0, 0.0)),
    "planted:forks-border-top": ("the top share on its border", (0.0, 0.06, -0.14)),
    "planted:forks-border-random": ("the top share on its border with a random one", (0.09, 0.0, -0.14)),
    "planted:forks-border-rest": ("the rest on its border", (0.09, 0.06, 0.0)),
    "planted:forks-design": ("the design effects", (0.09, 0.06, -0.14)),
}

_FLOOR = 0.0005
_SUCCESS = "in probability of success"


def _success(name: str, quantity: str, meaning: str, statistic: Statistic = "mean") -> EndpointSpec:
    """A contrast of exact successes. Two of the parts are skewed, so their medians are read: what the rest gains, because
    Adam makes full steps of noise where there is almost nothing to learn, and what is gained over a random share, where
    a mean was tried first and refused (docs/LOG.md).
    """
    return EndpointSpec(name, f"{quantity}, {_SUCCESS}", meaning, "linear", 0.0, _FLOOR, (-1.1, 1.1), statistic)


FORKING_SHARE = Verifier(
    name="forking_share",
    version="0.1",
    entry="verifiers.forking_share:measure",
    question="Does training on the most uncertain fifth of tokens teach what training on all of them does, because they are uncertain?",
    measures=(
        "A small network is pretrained in a small world until it succeeds nearly as often as the world's author. From this base four "
        "arms are trained with GRPO on the same prompts and with the same noise: on all tokens, on the share with the highest entropy, on "
        "the rest, and on as many tokens drawn at random. Success is computed exactly, by adding up the probabilities of all correct "
        "responses, and compared in three contrasts. Beside them: how concentrated entropy is, what a temperature at uncertain tokens "
        "costs at equal divergence, whether training keeps the uncertain positions more than drift does, and whether uncertain tokens are "
        "those that decide the outcome."
    ),
    on=(
        "lab:path-mixed and its kin, two-layer networks of about 18 thousand parameters that write ways from a start to a goal in three "
        "clauses; worlds, networks, corpora, prompts and samples are drawn anew for every unit. planted: subjects are authors whose "
        "successes are known exactly."
    ),
    refuted_by=(
        "an interval of one of the three parts that lies wholly on the wrong side: the top share loses over a tenth of the gain, or is "
        "not better than a random share, or the rest wins more than a quarter"
    ),
    does_not_say=(
        "anything about models of another size, or about natural language",
        "that a fifth is special: the share is a parameter, and where forks are an eighth or a quarter of the tokens is a subject",
        "what another learning rate or number of steps would show: a contract fixes both, and the grid shows a few others",
        "that low-entropy tokens have nothing to teach: their gradients are small by arithmetic, whatever they hold",
    ),
    sources=("arXiv:2506.01939",),
    unit="a fresh world with a fresh base and its four arms",
    endpoints=(
        _success(
            "top_not_inferior",
            "top share less all tokens, plus a tenth of the full gain",
            "above 0: training on the most uncertain share loses less than a tenth of what training on all tokens gains",
        ),
        _success(
            "top_over_random",
            "top share less a random share, less a twentieth of the full gain",
            "above 0: the most uncertain share teaches more than as many tokens at random, by more than a twentieth of the full gain",
            "median",
        ),
        _success(
            "rest_adds_little",
            "the rest less the base, less a quarter of the full gain",
            "below 0: training on all other tokens gains less than a quarter of what training on all tokens gains",
            "median",
        ),
        _success(
            "rest_adds_half",
            "the rest less the base, less half of the full gain",
            "above 0: the other tokens teach more than half of what all of them do",
            "median",
        ),
        _success(
            "random_not_inferior",
            "random share less all tokens, plus a tenth of the full gain",
            "above 0: even a random share loses less than a tenth of the full gain",
        ),
        _success(
            "top_surpasses",
            "top share less all tokens",
            "above 0: the most uncertain share teaches more than all tokens",
        ),
        _success("full_gain", "all tokens less the base", "what training on all tokens gains"),
        _success("top_gain", "top share less the base", "what training on the most uncertain share gains"),
        _success("random_gain", "random share less the base", "what training on a random share gains"),
        _success("rest_gain", "the rest less the base", "what training on all other tokens gains", "median"),
        EndpointSpec(
            "top_fifth_of_entropy",
            "share of all entropy in the top fifth of tokens",
            "how concentrated the base's entropy is on its own text; an exponential distribution has 0.52 there",
            "linear",
            0.522,
            0.005,
            (0.0, 1.0),
        ),
        EndpointSpec(
            "certain_tokens",
            "share of tokens with an entropy below 0.01 nats",
            "how many of the base's own tokens are as good as certain; large models have about half",
            "linear",
            0.5,
            0.005,
            (0.0, 1.0),
        ),
        EndpointSpec(
            "entropy_quantile",
            "80 % quantile of token entropy, nats",
            "the entropy that a fifth of the base's own tokens reach; ill-defined where forks are just a fifth of the tokens",
            "linear",
            0.0,
            0.005,
            (0.0, 3.0),
        ),
        EndpointSpec(
            "cooling_asymmetry",
            "loss of success by cooling, uncertain tokens less others, a nat of divergence",
            "above 0: a lower temperature costs more at uncertain tokens, both temperatures diverging by 0.05 nats a response",
            "linear",
            0.0,
            0.01,
            (-20.0, 20.0),
        ),
        EndpointSpec(
            "heating_asymmetry",
            "loss of success by heating, uncertain tokens less others, a nat of divergence",
            "below 0: a higher temperature costs more at the other tokens, both temperatures diverging by 0.05 nats a response",
            "linear",
            0.0,
            0.01,
            (-20.0, 20.0),
        ),
        EndpointSpec(
            "overlap",
            "overlap of the top fifth with the base's",
            "share of the most uncertain positions of the trained model's text that are the base's too; 0.2 by chance",
            "linear",
            0.2,
            0.005,
            (0.0, 1.0),
        ),
        EndpointSpec(
            "overlap_above_drift",
            "overlap of the top fifth with the base's, less that of equal drift",
            "above 0: training keeps uncertain positions more than noise on the weights and training on own samples that diverge as far",
            "linear",
            0.0,
            0.005,
            (-1.0, 1.0),
        ),
        EndpointSpec(
            "forced_forks",
            "area under the curve of entropy for outcome forks, alternatives forced",
            "how well entropy finds the tenth of positions where success depends most on which of the two likeliest tokens is forced",
            "linear",
            0.5,
            0.005,
            (0.0, 1.0),
        ),
        EndpointSpec(
            "drawn_forks",
            "area under the curve of entropy for outcome forks, tokens drawn",
            "how well entropy finds the tenth of positions where success varies most over tokens drawn from the model",
            "linear",
            0.5,
            0.005,
            (0.0, 1.0),
        ),
    ),
    parameters=(
        ParameterSpec("share", 0.2, 0.05, 0.5, "of the tokens that the top and the random arm keep"),
        ParameterSpec("rate", 5e-4, 1e-4, 1e-2, "learning rate of every arm"),
        ParameterSpec("steps", 60, 10, 400, "steps of every arm"),
        ParameterSpec(
            "details",
            1,
            0,
            1,
            "1: look at tokens, temperatures, overlap and outcome forks, and at a grid of learning rates, too; 0: leave that out",
            adds=0.35,
        ),
    ),
    subjects=(*_WORLDS, *_PLANTED),
    profiles={
        "smoke": ProfileSpec(2, 8, "only that the pipeline works"),
        "standard": ProfileSpec(8, 170, "what the contract asks"),
        "thorough": ProfileSpec(16, 310, "the same with twice the units"),
    },
    default_contract={
        "endpoint": "top_not_inferior",
        "regions": {"holds": ">= 0", "refuted": "< 0"},
        "design_effect": 0.09,
        "also": [
            {"endpoint": "top_over_random", "regions": {"holds": ">= 0", "refuted": "< 0"}, "design_effect": 0.06},
            {"endpoint": "rest_adds_little", "regions": {"holds": "<= 0", "refuted": "> 0"}, "design_effect": -0.14},
        ],
        "subjects": ["lab:path-mixed"],
        "unit": {"per_run": 8, "first_look": 8},
        "shelf_life_days": 30,
        "regime": {
            "stage": "trained with GRPO on a verifiable reward",
            "size": "1e4 .. 1e6",
            "domain": "ways to a goal",
        },
        "does_not_say": "anything about models outside the laboratory, or about another learning rate or number of steps",
    },
    controls=(
        "known success: planted authors are read to succeed as often as they do, to 1e-5",
        "success read, against success drawn: what is read of an author is what its texts earn",
        "masks keep forks, the rest, and as many as asked: the loss has its gradient at exactly these tokens of an author's text",
        "planted contrasts: arms whose three contrasts are known are found to have them",
        "gates: every base succeeds at least 85 % as often as its author and reads within 0.006 nats a token of it, training on all tokens "
        "wins a quarter of what there was to win, and every mask kept as many tokens as asked, in every update",
    ),
    trial=Trial(
        planted={name: truth for name, (_, truth) in _PLANTED.items()},
        true="lab:path-choices",
        false="lab:path-slips",
        breaks=(
            "masks mixed up",
            "entropy shifted by one position",
            "temperature 20 % too low",
            "temperature 20 % too high",
            "planted effect of half size",
        ),
        training_breaks=("unlearned base", "random reward", "swapped reward"),
        spread=(0.05, 0.02, 0.05),
        variations=("batch", "dtype"),
    ),
)

SUBJECTS: Mapping[str, SubjectFacts] = {
    **{
        name: SubjectFacts(
            name,
            f"tiny networks in a world of ways to a goal {what}",
            18_272,
            "trained with GRPO on a verifiable reward",
            "ways to a goal",
            cost,
        )
        for name, (what, cost) in _WORLDS.items()
    },
    **{
        name: SubjectFacts(name, f"planted arms with {what}", 1, "planted, not trained", "planted ways", 0.002)
        for name, (what, _) in _PLANTED.items()
    },
}
