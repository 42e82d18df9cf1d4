"""`top_fifth_share`, the check that cannot fail: it stands here as the example, and is never run."""

from verifiers.records import EndpointSpec, ProfileSpec, Verifier

TOP_FIFTH = Verifier(
    name="top_fifth_share",
    version="0.1",
    entry="",
    question="Do a model's most uncertain tokens make up a fifth of its text?",
    measures=(
        "The next-token entropies of a text are sorted, the tokens in the top fifth are called the uncertain ones, and their share of the "
        "text is taken."
    ),
    on="any text of any model",
    refuted_by="nothing: the share is a fifth whatever the model and whatever the text",
    does_not_say=(
        "anything about a model: where a percentile is chosen, the share above it is chosen too",
        "that the top fifth matters more than another fifth: that takes an arm trained on a random fifth",
    ),
    sources=("arXiv:2506.01939",),
    unit="a text",
    endpoints=(
        EndpointSpec(
            "top_share",
            "share of tokens in the top fifth by entropy",
            "how many of the tokens are among the most uncertain fifth of them",
            "linear",
            0.0,
            0.001,
            (0.0, 1.0),
        ),
    ),
    parameters=(),
    subjects=("lab:story",),
    profiles={
        "smoke": ProfileSpec(2, 1, "nothing"),
        "standard": ProfileSpec(12, 1, "nothing"),
        "thorough": ProfileSpec(24, 1, "nothing"),
    },
    default_contract={
        "endpoint": "top_share",
        "regions": {"holds": ">= 0.15", "refuted": "< 0.15"},
        "design_effect": 0.2,
        "unit": {"per_run": 12, "first_look": 12},
        "regime": {"stage": "any", "size": ">= 1", "domain": "any text"},
        "does_not_say": "anything about a model",
    },
    refused=(
        "it cannot come out both ways: the top fifth of the tokens by entropy is 20 % of the tokens by definition, so no model and no text "
        "could ever refute it"
    ),
)
