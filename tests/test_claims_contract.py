"""Contracts: what is accepted, what is refused and with which words, and the digest that verdicts name them by."""

import contextlib
import math
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from claims.contract import Contract, Regions, Span, contract_from
from claims.errors import BadContract
from claims.ledger import canonical, digest_of_contract
from tests.claims_support import contract, reproducible, written

# --- notation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        (">= 1.25", 1.25, None),
        ("> 1.25", 1.25, None),
        ("≥1.25", 1.25, None),
        ("from 1.25", 1.25, None),
        ("1.25 or more", 1.25, None),
        ("< 1.10", None, 1.10),
        ("<= 1.10", None, 1.10),
        ("≤ 1.10", None, 1.10),
        ("up to 1.10", None, 1.10),
        ("below -0.5", None, -0.5),
        ("1.10 or less", None, 1.10),
        ("1.10 .. 1.25", 1.10, 1.25),
        ("1.10..1.25", 1.10, 1.25),
        ("1..2", 1.0, 2.0),
        ("1.10 – 1.25", 1.10, 1.25),
        ("1.10 to 1.25", 1.10, 1.25),
        ("-0.5 .. -.1", -0.5, -0.1),
        ("  1e4 .. 1E6 ", 1e4, 1e6),
    ],
)
def test_a_stretch_of_the_axis_is_read_as_people_write_it(text: str, low: float | None, high: float | None) -> None:
    assert Span.parse(text) == Span(low=low, high=high)


@pytest.mark.parametrize("text", ["", "1.25", "about 1", ">= nan", ">= 1e999", "1.25 .. 1.10", "1 .. 1", "< 1 or > 2"])
def test_what_is_no_stretch_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"axis|ends before|finite"):
        Span.parse(text)


@reproducible
@given(low=st.integers(-9999, 9999), width=st.integers(1, 9999))
def test_what_a_stretch_is_shown_as_can_be_read_again(low: int, width: int) -> None:
    at, end = low / 100, (low + width) / 100
    for span in (Span(low=at, high=end), Span(low=at, high=None), Span(low=None, high=at)):
        again = Span.parse(str(span))
        for shown, meant in ((again.low, span.low), (again.high, span.high)):
            assert (shown is None) == (meant is None)
            assert shown is None or math.isclose(shown, meant or 0.0, abs_tol=1e-9)


# --- regions ---------------------------------------------------------------------------------------------------------


def regions(**said: Any) -> Regions:
    return Regions.model_validate(said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"holds": ">= 1.2", "weakened": "1.1 .. 1.25", "refuted": "< 1.1"}, "overlap"),
        ({"holds": ">= 1.25", "refuted": "< 1.3"}, "overlap"),
        ({"holds": ">= 1.25", "refuted": ["< 1.1", "< 1.25"]}, "overlap"),
        ({"holds": ">= 1.25", "weakened": ">= 2", "refuted": "< 1.25"}, "overlap"),
        ({"holds": ">= 1.25", "refuted": "< 1.10"}, r"nothing is said about values from 1.1 to 1.25"),
        ({"holds": ">= 1.25", "refuted": "1.0 .. 1.25"}, "nothing is said about values below 1"),
        ({"holds": "1.25 .. 4", "refuted": "< 1.25"}, "nothing is said about values above 4"),
        ({"refuted": "< 1.25"}, "holds"),
        ({"holds": ">= 1.25"}, "refuted"),
        ({"holds": [], "refuted": "< 1.25"}, "must be able to hold and to be refuted"),
        ({"holds": ">= 1.25", "refuted": []}, "must be able to hold and to be refuted"),
        ({"holds": ">= 1.25", "refuted": "< 1.25", "open": "1 .. 2"}, "open"),
    ],
)
def test_regions_that_do_not_cover_the_axis_once_are_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        regions(**said)
    with pytest.raises(BadContract, match=words):
        contract(regions=said)


@pytest.mark.parametrize(
    "said",
    [
        {"holds": ">= 1.25", "weakened": "1.10 .. 1.25", "refuted": "< 1.10"},
        {"holds": ">= 0.9", "refuted": "< 0.9"},
        {"holds": "0.9 .. 1.1", "weakened": ["0.8 .. 0.9", "1.1 .. 1.25"], "refuted": ["< 0.8", "> 1.25"]},
        {"holds": "3 .. 4", "weakened": ["1.25 .. 3", ">= 4"], "refuted": "< 1.25"},
    ],
)
def test_regions_that_cover_the_axis_once_are_accepted_in_any_order(said: dict[str, Any]) -> None:
    read = regions(**said)
    spans = [span for _, span in read.in_order()]
    assert spans[0].low is None
    assert spans[-1].high is None
    assert [span.high for span in spans[:-1]] == [span.low for span in spans[1:]]


@reproducible
@given(
    cuts=st.lists(st.floats(-100, 100), min_size=1, max_size=6, unique=True),
    names=st.lists(st.sampled_from(["holds", "weakened", "refuted"]), min_size=7, max_size=7),
    values=st.lists(st.floats(-1000, 1000), max_size=20),
    shuffle=st.randoms(use_true_random=False),
)
def test_random_cut_points_always_cover_the_axis_exactly_once(
    cuts: list[float], names: list[str], values: list[float], shuffle: random.Random
) -> None:
    edges = [None, *sorted(cuts), None]
    pieces = [(name, {"low": low, "high": high}) for name, low, high in zip(names, edges, edges[1:], strict=False)]
    shuffle.shuffle(pieces)
    said: dict[str, list[Any]] = {"holds": [], "weakened": [], "refuted": []}
    for name, piece in pieces:
        said[name].append(piece)
    if not said["holds"] or not said["refuted"]:
        with pytest.raises(ValidationError, match="must be able to hold"):
            regions(**said)
        return
    read = regions(**said)
    for value in values:
        inside = [
            span
            for _, span in read.in_order()
            if (span.low is None or span.low < value) and (span.high is None or value < span.high)
        ]
        assert len(inside) == (0 if value in cuts else 1)


def test_weakened_lies_below_what_was_claimed_or_beyond_it() -> None:
    read = regions(holds="3 .. 4", weakened=["1.25 .. 3", ">= 4"], refuted="< 1.25")
    assert [read.side(span, 1.0) for span in read.weakened] == ["SMALLER", "LARGER"]


def test_an_equivalence_contract_is_weakened_to_the_smaller_and_to_the_larger() -> None:
    read = regions(holds="0.9 .. 1.1", weakened=["0.8 .. 0.9", "1.1 .. 1.25"], refuted=["< 0.8", "> 1.25"])
    assert [read.side(span, 1.0) for span in read.weakened] == ["SMALLER", "LARGER"]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["verifier", "endpoint", "unit", "regions", "regime", "does_not_say", "design_effect"])
def test_a_part_that_is_missing_is_named(key: str) -> None:
    said = written()
    del said[key]
    with pytest.raises(BadContract, match=key):
        contract_from(said)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": {"per_run": 7, "first_look": 8}}, r"unit.per_run.*greater than or equal to 8"),
        ({"unit": {"per_run": 8, "first_look": 7}}, r"unit.first_look.*greater than or equal to 8"),
        ({"unit": {"per_run": 8}}, "unit.first_look"),
        ({"unit": {"per_run": 8, "first_look": 9}}, "no run could decide"),
        ({"unit": {"per_run": 10**20, "first_look": 8}}, "unit.per_run"),
        ({"unit": None}, "unit"),
        ({"verifier": "entropy-gap"}, "did you mean entropy_gap"),
        ({"verifier": "tea_leaves"}, "there is: entropy_gap"),
        ({"endpoint": "interaction_dit"}, "did you mean interaction_did"),
        ({"subjects": ["lab:storry"]}, "did you mean lab:story"),
        ({"subjects": []}, "subjects"),
        ({"subjects": ["lab:story", "lab:story"]}, "named twice"),
        ({"parameters": {"own_entropyy": 0.4}}, "did you mean own_entropy"),
        ({"parameters": {"own_entropy": 5}}, "give a number from 0.1 to 1.2"),
        ({"parameters": {"own_entropy": "low"}}, "give a number"),
        ({"parameters": {"own_entropy": math.nan}}, "give a number"),
        ({"parameters": {"own_entropy": True}}, "give a number"),
        ({"regions": {"holds": ">= 1.25", "weakened": "-1 .. 1.25", "refuted": "< -1"}}, "no logarithm"),
        ({"regions": {"holds": ">= 0", "refuted": "< 0"}}, "no logarithm"),
        ({"design_effect": -2}, "no logarithm"),
        ({"design_effect": math.inf}, "design_effect"),
        ({"design_effect": 1.2}, "lies outside HOLDS"),
        ({"design_effect": 1.25}, "lies outside HOLDS"),
        ({"scale": "linear"}, "comes from the verifier"),
        ({"null": 0}, "comes from the verifier"),
        ({"level": 0.5}, "level"),
        ({"level": 1.0}, "level"),
        ({"shelf_life_days": 0}, "shelf_life_days"),
        ({"does_not_say": ""}, "does_not_say"),
        ({"does_not_say": "  "}, "does_not_say"),
        ({"regime": {"stage": "", "domain": "d", "size": "< 1e9"}}, "regime.stage"),
        ({"parameters": {"own_entropy": 0.3, "deeper_entropy": 0.4}}, "must lie below"),
        ({"layer": "rumour"}, "layer"),
        ({"budget": {"wall_seconds": 0}}, "budget.wall_seconds"),
        ({"shelf_live_days": 30}, "shelf_live_days"),
        ({"regime": {"stage": "s", "domain": "d"}}, "regime.size"),
        ({"regime": {"stage": "s", "domain": "d", "size": "large"}}, "regime.size.*no stretch"),
    ],
)
def test_a_contract_that_cannot_decide_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadContract, match=words):
        contract(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"shelf_life_days": 10**12},  # ends after the last date there is
        {"budget": {"wall_seconds": math.inf}},  # no JSON
        {"budget": {"memory_mb": 10**20}},  # no exact JSON
        {"parameters": None},
        {"parameters": ["own_entropy"]},
        {"subjects": None},
        {"subjects": 3},
    ],
    ids=str,
)
def test_a_value_that_would_break_later_is_refused_now(changes: dict[str, Any]) -> None:
    with pytest.raises(BadContract):
        contract(**changes)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@reproducible
@example(key="parameters", value=None)
@given(key=st.sampled_from(sorted(written())), value=PLAIN)
def test_whatever_a_page_says_is_a_contract_with_a_digest_or_is_refused(key: str, value: Any) -> None:
    with contextlib.suppress(BadContract):
        assert len(digest_of_contract(contract(**{key: value}))) == 64


def test_regions_finer_than_the_instrument_are_refused() -> None:
    # δ of interaction_did is 0.005: the finest border must be four times that away from the null
    assert contract(regions={"holds": ">= 1.03", "refuted": "< 1.03"})
    with pytest.raises(BadContract, match=r"itself unsure by 0\.005"):
        contract(regions={"holds": ">= 1.015", "refuted": "< 1.015"})
    with pytest.raises(BadContract, match=r"itself unsure by 0\.005"):
        contract(regions={"holds": ">= 1.11", "weakened": "1.10 .. 1.11", "refuted": "< 1.10"})


def test_the_quarter_is_exact() -> None:
    just, short = math.exp(0.02 + 1e-9), math.exp(0.02 - 1e-9)
    assert contract(regions={"holds": f">= {just:.12f}", "refuted": f"< {just:.12f}"})
    with pytest.raises(BadContract, match="unsure"):
        contract(regions={"holds": f">= {short:.12f}", "refuted": f"< {short:.12f}"})


def test_a_linear_endpoint_may_have_borders_below_zero() -> None:
    read = contract(
        endpoint="absolute_gap", regions={"holds": "-0.1 .. 0.1", "refuted": ["< -0.1", "> 0.1"]}, design_effect=0
    )
    assert (read.scale, read.null, read.smallest_effect()) == ("linear", 0.0, 0.1)


def test_what_is_not_written_is_completed_by_the_verifier() -> None:
    said = written()
    del said["subjects"], said["parameters"]
    read = contract_from(said)
    assert read.subjects == ("lab:story",)
    assert read.parameters == {"own_entropy": 0.45, "deeper_entropy": 0.30, "rivals": 1}
    assert (read.scale, read.null, read.level) == ("log", 1.0, 0.95)


def test_one_subject_may_be_written_without_a_list() -> None:
    assert contract(subjects="lab:story") == contract()


def test_values_are_analysed_and_shown_on_the_scale_of_the_endpoint() -> None:
    read = contract()
    assert read.analysed(1.25) == pytest.approx(math.log(1.25))
    assert read.shown(read.analysed(1.25)) == pytest.approx(1.25)
    assert read.smallest_effect() == pytest.approx(math.log(1.10))
    assert read.narrowest_region() == pytest.approx(math.log(1.25 / 1.10))


# --- the digest ------------------------------------------------------------------------------------------------------


@reproducible
@given(shuffle=st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_no_digest(shuffle: random.Random) -> None:
    def mixed(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        items = list(value.items())
        shuffle.shuffle(items)
        return {key: mixed(inner) for key, inner in items}

    assert digest_of_contract(contract_from(mixed(written()))) == digest_of_contract(contract())


def test_the_same_borders_written_otherwise_are_the_same_contract() -> None:
    other = {"refuted": ["below 1.1"], "holds": "from 1.25", "weakened": ["1.1 to 1.25"]}
    assert digest_of_contract(contract(regions=other)) == digest_of_contract(contract())


CHANGES: dict[str, Any] = {
    "endpoint": "deeper_did",
    "parameters": {"own_entropy": 0.46, "deeper_entropy": 0.30},
    "unit": {"per_run": 9, "first_look": 8},
    "regions": {"holds": ">= 1.26", "weakened": "1.10 .. 1.26", "refuted": "< 1.10"},
    "design_effect": 1.83,
    "regime": {"stage": "pretrained", "size": "1e4 .. 1e6", "domain": "synthetic stories"},
    "does_not_say": "anything",
    "shelf_life_days": 31,
    "level": 0.96,
    "layer": "paper",
    "budget": {"wall_seconds": 1801},
}


@pytest.mark.parametrize("key", CHANGES)
def test_any_change_changes_the_digest(key: str) -> None:
    assert digest_of_contract(contract(**{key: CHANGES[key]})) != digest_of_contract(contract())


def test_a_contract_comes_back_from_its_json_as_it_was() -> None:
    read = contract()
    again = Contract.model_validate_json(canonical(read.model_dump(mode="json")))
    assert again == read
    assert digest_of_contract(again) == digest_of_contract(read)


# --- several parts ---------------------------------------------------------------------------------------------------

SECOND: dict[str, Any] = {
    "endpoint": "deeper_did",
    "regions": {"holds": ">= 1.5", "refuted": "< 1.5"},
    "design_effect": 2.0,
}


def test_a_contract_in_parts_is_completed_from_its_verifier() -> None:
    found = contract(also=[SECOND])
    assert [(part.endpoint, part.scale, part.null) for part in found.parts] == [
        ("interaction_did", "log", 1.0),
        ("deeper_did", "log", 1.0),
    ]
    assert Contract.model_validate(found.model_dump(mode="json")) == found
    alone = found.alone(found.parts[1], 0.975)
    assert (alone.endpoint, alone.design_effect, alone.also, alone.level) == ("deeper_did", 2.0, (), 0.975)


def test_what_a_contract_does_not_say_leaves_its_digest_alone() -> None:
    said = contract().model_dump(mode="json")
    assert not {"also", "statistic"} & said.keys()
    assert digest_of_contract(contract(also=[])) == digest_of_contract(contract())
    assert digest_of_contract(contract(also=[SECOND])) != digest_of_contract(contract())


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ("deeper_did", "is no list of further endpoints"),
        (["deeper_did"], r"also, part 2: 'deeper_did' is no table"),
        ([{"regions": {}}], "also, part 2: says no endpoint"),
        ([SECOND | {"endpoint": "deeper"}], "did you mean deeper_did"),
        ([SECOND | {"scale": "log"}], "also, part 2: says scale, which belongs to the endpoint"),
        ([SECOND | {"endpoint": "interaction_did"}], "interaction_did is named twice"),
        ([SECOND | {"design_effect": 1.2}], r"also\.0: the design effect 1\.2 lies outside HOLDS"),
        ([SECOND | {"regions": {"holds": ">= 1.01", "refuted": "< 1.01"}}], "regions must be at least four times"),
        ([SECOND | {"also": []}], r"also\.0\.also"),
        ([SECOND | {"unit": 3}], r"also\.0\.unit"),
    ],
)
def test_a_part_that_cannot_decide_is_refused_in_words(also: Any, said: str) -> None:
    with pytest.raises(BadContract, match=said):
        contract(also=also)


def test_where_the_margin_is_part_of_the_quantity_the_smallest_effect_is_beyond_the_border() -> None:
    part = contract(endpoint="absolute_gap", regions={"holds": ">= 0", "refuted": "< 0"}, design_effect=0.3)
    assert part.smallest_effect() == pytest.approx(0.3)
    with pytest.raises(BadContract, match="at least four times"):
        contract(endpoint="absolute_gap", regions={"holds": ">= 0", "refuted": "< 0"}, design_effect=0.01)
