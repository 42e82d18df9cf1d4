"""What is known of `entropy_gap` without running it."""

from collections.abc import Mapping

from verifiers.records import EndpointSpec, ParameterSpec, ProfileSpec, SubjectFacts, Trial, Verifier

_RL = "post-trained with reinforcement learning"
_LAB: Mapping[str, tuple[str, str]] = {
    "lab:story": ("post-trained on a reward for style", _RL),
    "lab:story-kl-held": ("post-trained on a reward for style, held to their reference policy", _RL),
    "lab:story-random-reward": ("post-trained on a random reward", _RL),
    "lab:story-own-halves": ("post-trained on a reward for style, each in its own half of the topics", _RL),
    "lab:story-sharp-author": ("fine-tuned on one sharp author each", "fine-tuned"),
    "lab:story-same-author": ("fine-tuned on one sharp author, the same for both", "fine-tuned"),
    "lab:story-one-topic": ("fine-tuned on one topic each", "fine-tuned"),
    "lab:story-sharp-topic": ("fine-tuned on one sharp author on one topic each", "fine-tuned"),
    "lab:story-diverse": ("fine-tuned further on the world's own authors", "fine-tuned"),
    "lab:story-own-samples": ("fine-tuned on their own samples", "fine-tuned"),
}
_PLANTED: Mapping[str, str] = {
    "planted:no-gap": "no gap",
    "planted:sharper-no-gap": "no gap, twice as sharp after post-training",
    "planted:gap-0.80": "a gap of 0.8: surer on the other's text",
    **{f"planted:gap-{size}": f"a gap of {size}" for size in ("1.05", "1.10", "1.17", "1.25", "1.40", "1.82", "3.50")},
}

_LOG_100 = 4.605170185988091
_OWN = "at the stated own entropy"


def _ratio(name: str, quantity: str, meaning: str) -> EndpointSpec:
    """A ratio, analysed as its logarithm, with 1 for no effect; a unit counts as a hundredfold at most."""
    return EndpointSpec(name, quantity, meaning, "log", 1.0, 0.005, (-_LOG_100, _LOG_100))


def _rival(name: str, who: str) -> tuple[EndpointSpec, EndpointSpec]:
    """What a rival's own contrast is, and how the subject's compares with it where both are equally sure."""
    return (
        _ratio(
            f"{name}_did", f"interaction ratio, after over before, {who}", "the primary quantity, of this rival alone"
        ),
        _ratio(
            f"over_{name}",
            f"the subject's interaction ratio over that of lineages {who}",
            "at the own entropy that the rival came to, the subject's read off its dose curve; 1: the rival explains all of the gap",
        ),
    )


ENTROPY_GAP = Verifier(
    name="entropy_gap",
    version="0.2",
    entry="verifiers.entropy_gap:measure",
    question="Is a model surer of text it wrote itself than of text its twin wrote, once it has been post-trained?",
    measures=(
        "Two lineages are pretrained in one small world to near the best possible reader, then post-trained until their own text is "
        "as sure as asked. Each writes texts, each reads both. The interaction ratio G says how much less sure the models are on each "
        "other's text than on their own, with the difficulty of texts and the general sureness of models cancelled. The primary "
        "endpoint is G after post-training divided by G before it; a curve gives it at every own entropy on the way. Rivals narrow "
        "the same bases by other means (a lower temperature, fine-tuning on one sharp author, on one topic, on both, a random reward, "
        "a reward with a hold on the reference policy) and are compared where both are equally sure of their own text."
    ),
    on=(
        "lab:story and its kin, two-layer networks of 19 thousand parameters on synthetic topic stories of 20 tokens; worlds, networks, "
        "corpora and samples are drawn anew for every unit. planted: subjects are authors whose entropies are known exactly."
    ),
    refuted_by="an interval of the primary endpoint that lies wholly below the smallest effect of interest that the contract names",
    does_not_say=(
        "anything about models of another size, or about natural language",
        "that a model knows who wrote a text: a decoder sees tokens, never authors",
        "that reinforcement learning is the cause: that is for the endpoints over_… to say, which compare it with its rivals",
        "how large the ratio is as such: it grows without bound as own entropy falls, so it is given at a stated own entropy",
        "whether an inner variable for surprise exists: slopes and swapped tokens look at inputs and outputs only",
    ),
    sources=("arXiv:2605.25459",),
    unit="a fresh world with a fresh pair of lineages in it",
    endpoints=(
        _ratio(
            "interaction_did",
            "interaction ratio, after over before post-training",
            f"by how much post-training multiplies the interaction ratio, {_OWN}",
        ),
        _ratio(
            "interaction_after",
            "interaction ratio after post-training",
            f"entropy on the twin's text over entropy on own text, {_OWN}, text difficulty and model sureness cancelled",
        ),
        _ratio(
            "interaction_before",
            "interaction ratio before post-training",
            "the same contrast between the two pretrained twins",
        ),
        _ratio(
            "row_ratio",
            "row ratio after post-training",
            f"entropy on the world's own text over entropy on own text, {_OWN}; a change of temperature moves it too",
        ),
        EndpointSpec(
            "absolute_gap",
            "interaction gap after post-training, nats",
            f"the interaction without logarithms: how many nats less sure on the twin's text, {_OWN}",
            "linear",
            0.0,
            0.005,
            (-3.2, 3.2),
        ),
        _ratio(
            "deeper_did",
            "interaction ratio, after over before, at the deeper own entropy",
            "the primary quantity once more, further down",
        ),
        _ratio(
            "dose_contrast",
            "interaction ratio at the deeper own entropy over the one at the stated own entropy",
            "whether the gap is one size, or grows as own entropy falls",
        ),
        *_rival("temperature", "sharpened by a lower temperature"),
        *_rival("sharp_author", "fine-tuned on one sharp author each"),
        *_rival("one_topic", "fine-tuned on one topic each"),
        *_rival("sharp_topic", "fine-tuned on one sharp author on one topic each"),
        *_rival("random_reward", "paid at random"),
        *_rival("kl_held", "held to their reference policy"),
        EndpointSpec(
            "surprise_slope",
            "surprise slope, after less before post-training, nats a nat",
            f"how much further the next entropy rises with a token's surprise, entropy and position held, on own text {_OWN}",
            "linear",
            0.0,
            0.002,
            (-1.0, 1.0),
        ),
        EndpointSpec(
            "swap_slope",
            "surprise slope by swapping a token, after less before, nats a nat",
            "the same by intervention: one token of an own text gives way to another that its topic allows there",
            "linear",
            0.0,
            0.004,
            (-1.0, 1.0),
        ),
        EndpointSpec(
            "topic_left",
            "topic entropy on an open prompt, after over before",
            "how much of the uncertainty about its topic a text still has before its first token; 1: all of it",
            "linear",
            1.0,
            0.01,
            (0.0, 2.0),
        ),
        _ratio(
            "rebound",
            "rebound of entropy after a foreign beginning, after over before post-training",
            "entropy after five tokens of another topic over that after five tokens of the own topic, equally surprising",
        ),
    ),
    parameters=(
        ParameterSpec("own_entropy", 0.45, 0.1, 1.2, "nats on own text at which lineages are compared"),
        ParameterSpec("deeper_entropy", 0.30, 0.06, 1.1, "nats, the second and lower dose", below="own_entropy"),
        ParameterSpec(
            "rivals",
            1,
            0,
            1,
            "1: narrow the same bases by other means too, at two and a half times the cost; 0: leave that out",
            adds=0.6,
        ),
    ),
    subjects=(*_LAB, *_PLANTED),
    profiles={
        "smoke": ProfileSpec(2, 40, "only that the pipeline works"),
        "standard": ProfileSpec(12, 390, "what the contract asks"),
        "thorough": ProfileSpec(24, 780, "the same with twice the units"),
    },
    default_contract={
        "endpoint": "interaction_did",
        "regions": {"holds": ">= 1.25", "weakened": "1.10 .. 1.25", "refuted": "< 1.10"},
        "design_effect": 1.82,
        "unit": {"per_run": 12, "first_look": 12},
        "shelf_life_days": 30,
        "regime": {
            "stage": "post-trained with reinforcement learning",
            "size": "1e4 .. 1e6",
            "domain": "synthetic stories",
        },
        "does_not_say": "anything about models outside the laboratory",
    },
    controls=(
        "replay identity: reading a text again gives the entropies of writing it, to 1e-5 nats (frozen models, and this run's own texts)",
        "second sample, same weights: another sample of one frozen model is as sure as the first",
        "pretrained twins: two frozen models of one world, before post-training, show no interaction",
        "own surprise equals own entropy: texts are drawn from the very distribution that is read",
        "planted gap: two authors whose post-training doubles the ratio are found to do so",
        "gates: every base reads within 5 % of the exact reader, every lineage won a quarter of what its training could win by that "
        "training's own measure, and three quarters of the units came down to the stated own entropy",
    ),
    trial=Trial(
        planted={
            "planted:no-gap": 1.0,
            "planted:gap-1.10": 1.1,
            "planted:gap-1.17": 1.17,
            "planted:gap-1.25": 1.25,
            "planted:gap-1.82": 1.82,
        },
        true="lab:story-own-halves",
        false="lab:story-same-author",
        breaks=(
            "authors mixed up",
            "positions shifted by one",
            "temperature 20 % too low",
            "temperature 20 % too high",
            "planted effect of half size",
        ),
        training_breaks=("unlearned base", "random reward", "swapped reward"),
        spread=0.35,
        variations=("batch", "dtype"),
    ),
)

SUBJECTS: Mapping[str, SubjectFacts] = {
    **{
        name: SubjectFacts(name, f"tiny networks on synthetic topic stories, {how}", 18_752, stage, "synthetic stories")
        for name, (how, stage) in _LAB.items()
    },
    **{
        name: SubjectFacts(
            name, f"two planted authors with {what}", 600, "planted, not trained", "planted tokens", 0.02
        )
        for name, what in _PLANTED.items()
    },
}
