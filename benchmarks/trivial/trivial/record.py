"""All facts about the verifier `trivial`."""

from verifiers.records import EndpointSpec, ParameterSpec, ProfileSpec, SubjectFacts, Verifier

RECORD = Verifier(
    name="trivial",
    version="1.0",
    entry="trivial.experiment:measure",
    question="How large are numbers that are drawn around a number?",
    measures="numbers drawn around the parameter `truth`",
    on="nothing",
    refuted_by="low numbers",
    does_not_say=("anything",),
    sources=("none",),
    unit="a number",
    endpoints=(EndpointSpec("size", "size", "how large they are", "linear", 0.0, 0.02, (-10.0, 10.0)),),
    parameters=(
        ParameterSpec("seconds", 1.0, 0.0, 600.0, "how long it takes"),
        ParameterSpec("truth", 2.0, -5.0, 5.0, "what they are drawn around"),
        ParameterSpec("which", 0.0, 0.0, 1e6, "which of many such claims this is"),
    ),
    subjects=("trivial:numbers",),
    profiles={name: ProfileSpec(8, 1.0, "nothing") for name in ("smoke", "standard", "thorough")},
    default_contract={
        "endpoint": "size",
        "regions": {"holds": ">= 1", "weakened": "0.5 .. 1", "refuted": "< 0.5"},
        "design_effect": 2.0,
        "unit": {"per_run": 8, "first_look": 8},
        "regime": {"stage": "none", "size": ">= 1", "domain": "numbers"},
        "does_not_say": "anything",
    },
    trial=None,
    own_subjects=(SubjectFacts("trivial:numbers", "numbers", 10, "none", "numbers"),),
)
