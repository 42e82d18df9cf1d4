"""The record of `collapse_fit`, and of the subjects that come with it."""

from collections.abc import Mapping

from verifiers.records import EndpointSpec, ParameterSpec, ProfileSpec, SubjectFacts, Trial, Verifier

_RL = "post-trained with reinforcement learning"
_POINTS = (-100.0, 100.0)
_LOG_20 = 3.0

_PATHS = "tiny networks on synthetic paths"
_BANDITS = "softmax bandits"
SUBJECTS: Mapping[str, SubjectFacts] = {
    facts.name: facts
    for facts in (
        SubjectFacts("lab:collapse", f"{_PATHS}, {_RL}", 17_696, _RL, "synthetic paths"),
        SubjectFacts("lab:collapse-random-reward", f"{_PATHS}, paid at random", 17_696, _RL, "synthetic paths"),
        SubjectFacts("lab:collapse-diversity", f"{_PATHS}, paid for diversity", 17_696, _RL, "synthetic paths", 1.4),
        SubjectFacts("lab:bandit", f"{_BANDITS} that follow exact gradients", 160, _RL, "bandits", 0.01),
        SubjectFacts("lab:bandit-uninformed", f"{_BANDITS}, paid at random", 160, _RL, "bandits", 0.01),
        SubjectFacts("lab:bandit-diversity", f"{_BANDITS}, paid for diversity", 160, _RL, "bandits", 0.01),
        *(
            SubjectFacts(f"planted:{name}", f"planted runs: {what}", 2, "planted, not trained", "planted runs", 0.005)
            for name, what in {
                "no-law": "an entropy that says nothing of the reward",
                **{f"law-{size}": f"the law, with an R² of {size}" for size in ("0.60", "0.75", "0.90", "0.97")},
                "logistic": "a logistic rise beside an unrelated decay",
                "drift": "two series that drift",
                "rising": "entropy and reward that rise together",
                "late": "logged wholly after the collapse",
                "flat": "a collapse without any gain",
            }.items()
        ),
    )
}


def _share(name: str, quantity: str, meaning: str) -> EndpointSpec:
    """A share of variance with the sign of a; bounded, and skewed where the law is good, so its median is asked for."""
    return EndpointSpec(name, quantity, meaning, "linear", 0.0, 0.002, (-1.0, 1.0), statistic="median")


def _of(name: str, quantity: str, meaning: str, cap: tuple[float, float], noise_floor: float = 0.002) -> EndpointSpec:
    """An endpoint on a linear scale with 0 for no effect."""
    return EndpointSpec(name, quantity, meaning, "linear", 0.0, noise_floor, cap)


def _ratio(name: str, quantity: str, meaning: str) -> EndpointSpec:
    """A ratio, analysed as its logarithm; a run counts as twentyfold at most."""
    return EndpointSpec(name, quantity, meaning, "log", 1.0, 0.005, (-_LOG_20, _LOG_20))


def _off(name: str, who: str) -> EndpointSpec:
    """How far an arm lies off the curve."""
    return _of(
        f"residual_{name}",
        f"reward above the curve at the same entropy, {who}, points",
        "the mean over the arm's points; to be read beside that of a mere change of learning rate",
        _POINTS,
        0.05,
    )


COLLAPSE_FIT = Verifier(
    name="collapse_fit",
    version="0.2",
    entry="verifiers.collapse_fit:measure",
    question="Does reward follow −a·exp(H) + b in policy entropy H, beyond what any two series with a trend have in common?",
    measures=(
        "One number a run: the share of the variance of validated reward that −a·exp(H) + b explains, below 0 where reward rises "
        "with entropy. Two series that both go one way correlate, so a run counts in full only where exp(H) explains half of what a "
        "straight line in step leaves over. Where a rise that knows only the step is clearly ahead of a law that fits, or where entropy "
        "alone shows that nothing can be learned (too few points, after the collapse, exp(H) a straight line in step), the run is not "
        "measured, and why is said. Beside it: which form is identified, what the first third foretells, where interventions lie at "
        "the same entropy, whether entropy changes as its covariance says, and what falls first."
    ),
    on=(
        "training logs that somebody brings (runlog:); lab:collapse and its kin, two-layer networks on paths of two choices, worlds and "
        "bases drawn anew for every run; bandits whose gradients are exact; planted runs of exactly known R²"
    ),
    refuted_by="a median over runs that lies wholly below the smallest R² that the contract calls a law",
    does_not_say=(
        "that entropy is the cause: a reward that settles by itself with the time constant of exp(H) looks the same",
        "that the exponential is the right form: over less than one nat a straight line in entropy fits as well",
        "anything about runs under an intervention on entropy, which the authors except",
        "that a and b carry over to another model or other data",
    ),
    sources=("arXiv:2505.22617",),
    unit="a training run",
    endpoints=(
        _share(
            "fit",
            "R² of the law that counts, signed",
            "what −a·exp(H) + b explains of a run's reward, beyond a trend; below 0 with the wrong sign",
        ),
        _share(
            "raw_r2",
            "R² of the law, signed",
            "the same without any guard: what two trends have in common is in it",
        ),
        _share(
            "beyond_a_line",
            "partial R² beyond a line in step, signed",
            "what exp(H) explains that a drift does not",
        ),
        _of("coefficient", "a", "reward won for each unit by which exp(H) falls", (-5.0, 5.0)),
        _of("ceiling", "b − a", "the reward that the law foretells at no entropy; above 1 it cannot be", (-5.0, 5.0)),
        _ratio(
            "exp_over_line",
            "error of the best other form in entropy over that of the exponential",
            "linear, square root, logarithm, on blocks of points left out; above 1: the exponential is identified",
        ),
        _ratio(
            "exp_over_rise",
            "error of a logistic curve in step over that of the exponential",
            "the same against a form that knows only the step",
        ),
        _of(
            "later_error",
            "error on later points, points",
            "of the law fitted to the first third, unclipped",
            (0.0, 100.0),
            0.05,
        ),
        _ratio(
            "forecast_gain",
            "error of the better rival over that of the law, on later points",
            "the rivals carry the last value forward, and draw a straight line in entropy",
        ),
        _ratio(
            "timing",
            "half-time of entropy over half-time of reward",
            "1: entropy and reward go half of their way at the same step",
        ),
        _off("entropy_bonus", "with an entropy bonus"),
        _off("kl_reference", "held to the reference policy"),
        _off("clip_higher", "with clip-higher, against PPO"),
        _off("clip_cov", "with Clip-Cov, against PPO"),
        _off("kl_cov", "with KL-Cov, against PPO"),
        _off("gppo", "with GPPO, against PPO"),
        _off("updates", "by PPO with several updates a rollout: a null"),
        _off("rate", "at twice the learning rate: a null"),
        _of(
            "covariance_slope",
            "change of entropy over what the covariance foretells",
            "the slope of exact changes of entropy on −Cov(log π, Δz); 1: the first order is all",
            (-5.0, 5.0),
            0.01,
        ),
    ),
    parameters=(
        ParameterSpec(
            "details",
            0,
            0,
            1,
            "1: train the arms with interventions too, and follow the covariance; 0: leave that out",
            adds=0.85,
        ),
    ),
    subjects=tuple(SUBJECTS),
    schemes=("runlog",),
    profiles={
        "smoke": ProfileSpec(2, 30, "only that the pipeline works"),
        "standard": ProfileSpec(8, 300, "what the contract asks"),
        "thorough": ProfileSpec(16, 660, "the same with twice the runs"),
    },
    default_contract={
        "endpoint": "fit",
        "regions": {"holds": ">= 0.9", "weakened": "0.6 .. 0.9", "refuted": "< 0.6"},
        "design_effect": 0.97,
        "unit": {"per_run": 8, "first_look": 8},
        "shelf_life_days": 30,
        "regime": {"stage": _RL, "size": "1e4 .. 1e6", "domain": "synthetic paths"},
        "does_not_say": "anything about models outside the laboratory",
    },
    controls=(
        "planted law: eight runs with an R² of 0.9 are found to have it, to 0.05",
        "planted coefficient: without noise a is found, to 5 %",
        "unrelated series: at most one in ten runs with a logistic rise, a drift or a flat reward of their own comes to 0.6",
        "rising entropy: reward that rises with entropy counts below 0",
        "after the collapse: such a run is not read",
        "exact bandit: small steps change entropy by what the covariance foretells, to 10 %",
        "gates: every base succeeds 85 % as often as its author and reads within 0.006 nats a token, every run won a quarter of the reward "
        "that was to be won, and in three quarters of them entropy spans more than a nat",
    ),
    trial=Trial(
        planted={
            "planted:no-law": 0.0,
            "planted:law-0.60": 0.6,
            "planted:law-0.75": 0.75,
            "planted:law-0.90": 0.9,
            "planted:law-0.97": 0.97,
        },
        true="lab:bandit",
        false="lab:bandit-diversity",
        breaks=(
            "entropy in bits",
            "entropy of the point before",
            "steps shuffled",
            "rewards mixed up between runs",
            "guards and sign left out",
            "planted effect of half size",
        ),
        training_breaks=("unlearned base", "random reward", "swapped reward"),
        spread=0.02,
        variations=("dtype",),
    ),
)
