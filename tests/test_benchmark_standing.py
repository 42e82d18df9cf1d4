"""The simulation of standings: it reads what the product says, the same whoever reads it, and counts what is false."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from benchmarks.standing import (
    SUBJECT,
    Case,
    cases,
    contract,
    drawn,
    folded,
    past_run,
    plain,
    read,
    right,
    summed,
    waited,
)
from claims.standing import Fold
from tests.claims_support import ROOT
from verifiers import stats

WEEKS = 60


def case(name: str) -> Case:
    """The one case whose name contains NAME."""
    (found,) = [one for one in cases(1.0, 4.0, 1.0, 208, [0.8]) if name in one.name]
    return found


@pytest.mark.parametrize("name", ["one run in twenty VOID", "a version every half year, border of HOLDS", "given up"])
def test_its_words_are_those_of_the_standing(name: str) -> None:
    one = case(name)
    units = drawn(one, np.full(WEEKS, one.truth), np.random.default_rng(2))
    void = np.arange(WEEKS) % 7 == 3
    given_up = np.arange(WEEKS) == 40
    words, _ = folded(one, units, void, given_up)
    fold = Fold()
    fold.begin(one.contract)
    for week, values in enumerate(units.tolist()):
        known = [None] * len(values) if given_up[week] else values
        fold.take(past_run(one, week, known, "ERROR" if given_up[week] else "VOID" if void[week] else "INCONCLUSIVE"))
        said = fold.standing()
        assert said.subjects[0].differences == ()
        assert said.word == {"INCONCLUSIVE": "OPEN"}.get(words[week], words[week])


def test_a_history_is_the_same_whoever_reads_it() -> None:
    one = case("border of WEAKENED and REFUTED")
    assert read(one, WEEKS, (1, 2), range(4)) == [*read(one, WEEKS, (1, 2), [0, 1]), *read(one, WEEKS, (1, 2), [2, 3])]


def test_the_naive_re_test_is_the_plain_interval_over_all_units_so_far() -> None:
    one, by_median = case("top 2 % of units without a value, border of HOLDS"), contract(1.0, "median")
    units = drawn(one, np.full(WEEKS, one.truth), np.random.default_rng(3))
    used = np.arange(WEEKS) % 5 != 2
    for said, interval in ((one.contract, stats.t_interval), (by_median, stats.sign_interval)):
        found = plain(said, units, used)
        for week in range(WEEKS):
            rows = units[: week + 1][used[: week + 1]]
            low, high = interval(rows[~np.isnan(rows)].tolist(), 0.95)[1:]
            assert (found["HOLDS"][week], found["REFUTED"][week]) == (low > 1.0, high < 0.5)


def test_on_a_border_neither_word_is_right_and_a_word_may_be_late() -> None:
    border = case("border of HOLDS and WEAKENED")
    for flags in right(border, np.full(9, border.truth), 0).values():
        assert not flags.any()
    falls = case("in silence")
    truths = np.array([falls.truth_in(week) for week in range(208)])
    late = right(falls, truths, 0)["HOLDS"]
    assert late[:104].all()  # right, until the effect falls from 1.25 to 0.25
    assert late[104:].sum() == 34  # and as long as it is 1 or more on average: 104/(104 + w) is 0.75 after 35 weeks
    announced = right(falls, truths, 104)
    assert not announced["HOLDS"][104:].any()
    assert announced["REFUTED"].tolist() == [False] * 104 + [True] * 104


def test_weeks_have_exact_bounds_and_never_is_none() -> None:
    found = waited([float(week) for week in range(1, 101)])
    assert (found["half"], found["half_bound"], found["nine_in_ten"], found["nine_in_ten_bound"]) == (50, 59, 90, 96)
    assert waited([1.0, 2.0, float("inf"), float("inf")])["nine_in_ten"] is None


def test_what_it_counts_are_histories() -> None:
    one = case("effect 0.8, skewness 4")
    assert one.contract.statistic == "median"
    found = summed(one, read(one, WEEKS, (1, 2), range(6)))
    assert (found["n"], sum(found["last"].values())) == (6, 6)
    assert found["bounds"]["false_holds"] == round(stats.binomial_upper(found["false_holds"], 6), 4)


def test_json_is_one_object_of_cases() -> None:
    command = [
        sys.executable,
        "-P",
        "benchmarks/standing.py",
        "--json",
        "--claims",
        "2",
        "--weeks",
        "8",
        "--processes",
        "1",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    assert list(said) == ["cases"]
    assert len(said["cases"]) == 18
    for one in said["cases"]:
        assert {"name", "n", "false_holds", "false_refuted"} <= one.keys()
        assert one["n"] == 2
    assert SUBJECT not in done.stdout
