"""What flips a claim: planted changes are found and named, and what noise does is called noise."""

import itertools
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import ttest_ind

from claims import checkout, ledger, library, recorded, suspects, verification
from claims.bisect import Bisection, bisect
from claims.checkout import Code, Versions, changes
from claims.errors import NoAnswer
from claims.history import history
from claims.judge import judge
from claims.pairs import Asked, differences, noise, pair, seen
from claims.scratch import scratch_folder
from claims.suspects import Axis, Facts, Result, Side, Step
from stillholds import questioning
from tests.claims_support import (
    NOW,
    ROOT,
    Silent,
    a_library,
    all_endpoints,
    around,
    claim_id,
    claim_page,
    contract,
    control,
    endpoint,
    four_years,
    means,
    measurement,
    past,
    run_with,
    written,
)
from tests.cli_support import stillholds, typed
from tests.question_support import Lab, lab
from tests.queue_support import numbers
from verifiers.measurement import Measurement
from verifiers.registry import ENTROPY_GAP, find
from verifiers.stats import welch

__all__ = ["lab"]


def asked(lab: Lab, *, watcher: Silent | None = None, **said: Any) -> Bisection:
    return bisect(lab.store, Asked(lab.slug, **said), means(lab.folder), watcher or Silent())


def remade(lab: Lab, measured: Measurement, shift: float = 0.0, **origin: Any) -> None:
    """Record a run that gave these units, moved, and that was made by something else."""
    one = measured.findings.endpoint("size")
    moved = one.model_copy(update={"values": tuple(value + shift for value in one.values if value is not None)})
    findings = measured.findings.model_copy(update={"endpoints": (moved,)})
    provenance = measured.provenance.model_copy(update=origin)
    run_with(lab.store, measured.model_copy(update={"findings": findings, "provenance": provenance}), lab.slug)


def newest(lab: Lab) -> Measurement:
    with lab.store.reading() as session:
        last = history(session, claim_id(lab.store, lab.slug)).entries[-1].event
        assert isinstance(last, ledger.VerdictGiven)
        return ledger.measurement(session, last.measurement_digest)


def flipping(lab: Lab) -> str:
    """A run that held, a planted change in a commit of its own among others, and a run that did not hold."""
    assert lab.run().verdict == "HOLDS"
    lab.edit("    return Findings(", "    done += 0\n    return Findings(")
    lab.commit("Count on")
    (lab.root / "README").write_text("read me")
    lab.commit("A page")
    lab.edit("SHIFT = 1.0", "SHIFT = -1.0")
    planted = lab.commit("Shift less")
    lab.edit("    done += 0\n", "    done += 1\n")
    lab.commit("Count further")
    assert lab.run().verdict == "REFUTED"
    return planted


# --- flips that were planted -----------------------------------------------------------------------------------------


def test_a_constant_that_was_changed_in_one_of_several_commits_is_found_and_named(lab: Lab) -> None:
    planted = flipping(lab)
    found = asked(lab)
    assert found.answer
    assert found.answer.cause == "code"
    assert found.answer.said == (
        "It is the code: `trivial.experiment.SHIFT` 1.0 → -1.0 (trivial/experiment.py), "
        f"commit {planted[:12]} “Shift less”."
    )
    assert len(found.steps) <= 3
    assert (found.good.number, found.bad.number) == (1, 2)
    assert {one.what for one in found.differences} == {"code"}


def test_a_question_leaves_the_ledger_and_the_users_checkout_as_they_were(lab: Lab) -> None:
    flipping(lab)
    lab.edit("SHIFT = -1.0", "SHIFT = -1.5  # not finished")
    entries, status = past(lab.store, lab.slug).entries, lab.git("status", "--porcelain")
    kept = {path: path.stat().st_mtime_ns for path in (lab.root / ".git").rglob("*")}
    asked(lab)
    assert past(lab.store, lab.slug).entries == entries
    assert lab.git("worktree", "list").count("\n") == 0
    assert {path: path.stat().st_mtime_ns for path in (lab.root / ".git").rglob("*")} == kept
    assert lab.git("status", "--porcelain") == status


def test_a_change_that_is_not_committed_is_named_too(lab: Lab) -> None:
    lab.run()
    lab.edit("SHIFT = 1.0", "SHIFT = -1.0")
    lab.run()
    found = asked(lab)
    assert found.answer
    assert found.answer.said == (
        "It is the code: `trivial.experiment.SHIFT` 1.0 → -1.0 (trivial/experiment.py), not committed."
    )


def test_code_that_git_never_saw_is_said_to_be_the_cause_and_not_named(lab: Lab) -> None:
    lab.edit("SHIFT = 1.0", "SHIFT = 1.1")
    lab.run()
    lab.edit("SHIFT = 1.1", "SHIFT = -1.0")
    lab.commit("Shift less")
    lab.run()
    found = asked(lab)
    assert found.answer
    assert (found.answer.cause, found.answer.changes) == ("code", ())
    assert "cannot be named" in found.answer.said
    assert "the code of the good run" in found.answer.not_tested[0]


def test_a_parameter_of_the_contract_is_found_and_the_one_that_does_it_named(lab: Lab) -> None:
    lab.run()
    lab.bring(numbers(which=3, truth=-1.0))
    assert lab.run().verdict == "REFUTED"
    found = asked(lab)
    assert found.answer
    assert found.answer.cause == "parameters"
    assert found.answer.said == "It is the parameters of the contract: `truth` 2 → -1 (contract version 1 → 2)."
    assert [step.result for step in found.steps] == ["flips", "flips"]


def test_a_subject_that_the_contract_changed_is_found(lab: Lab) -> None:
    lab.edit(
        """subjects=("trivial:numbers",)""",
        """subjects=("trivial:numbers", "trivial:others")""",
        file="trivial/record.py",
    )
    lab.edit(
        """own_subjects=(""",
        """own_subjects=(SubjectFacts("trivial:others", "others", 10, "none", "numbers"), """,
        file="trivial/record.py",
    )
    lab.edit("SHIFT * said", '(1 - 2 * (request.subject.locator == "others")) * said')
    lab.commit("Others")
    lab.forget()
    lab.run()
    lab.bring(numbers(which=2, subjects=["trivial:others"]))
    assert lab.run().verdict == "REFUTED"
    found = asked(lab)
    assert found.answer
    assert found.answer.said == (
        "It is the subject of the contract: `subject` trivial:numbers → trivial:others (contract version 1 → 2)."
    )
    with pytest.raises(NoAnswer, match="no run on trivial:others that held"):
        asked(lab, subject="trivial:others")


def test_of_code_and_parameters_that_both_changed_the_one_that_does_it_is_told(lab: Lab) -> None:
    lab.run()
    lab.bring(numbers(truth=-1.0))
    lab.edit("    return Findings(", "    done += 0\n    return Findings(")
    lab.commit("Count on")
    lab.run()
    found = asked(lab)
    assert found.answer
    assert found.answer.cause == "parameters"
    assert [step.result for step in found.steps] == ["flips", "holds"]
    assert found.steps[1].same_bits_as == "the good run"


def test_regions_that_moved_are_found_without_a_run(lab: Lab) -> None:
    lab.run()
    lab.bring(numbers(regions={"holds": ">= 4", "weakened": "3 .. 4", "refuted": "< 3"}, design_effect=5))
    assert lab.run().verdict == "REFUTED"
    found = asked(lab)
    assert found.answer
    assert (found.answer.cause, found.steps) == ("regions", ())


def test_an_environment_that_is_not_here_is_blamed_where_the_bad_run_holds_here(lab: Lab) -> None:
    lab.run()
    one = newest(lab)
    remade(lab, one, -2.0, packages=one.provenance.packages | {"torch": "9.9"})
    found = asked(lab)
    assert found.answer
    assert found.answer.cause == "environment"
    torch = f"torch {one.provenance.packages['torch']} → 9.9"
    assert found.answer.said == f"It is the environment: {torch}."
    assert found.answer.not_tested == (f"{torch} (not installed here)",)


def test_what_nobody_wrote_down_is_found_when_the_good_run_does_not_come_out_again(lab: Lab) -> None:
    lab.edit("SHIFT = 1.0", "SHIFT = -1.0")
    lab.run()
    bad = newest(lab)
    remade(lab, bad, 5.0)  # by the same code, as its record says, and yet
    remade(lab, bad)
    found = asked(lab)
    assert found.answer
    assert found.answer.cause == "hidden"


def test_settings_that_a_measurement_tells_are_compared_one_by_one(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    for number, steps in enumerate((600, 60)):
        one = measurement(around((0.6, -0.3)[number], 0.1), seed=number + 1)
        settings = {"recipe": {"pretraining": {"steps": steps, "texts": 32}}}
        run_with(store, one.model_copy(update={"findings": one.findings.model_copy(update={"settings": settings})}))
    with store.reading() as session:
        (found,) = differences(pair(session, Asked("the-gap")))
    assert (found.what, found.was, found.now) == ("setting recipe.pretraining.steps", "600", "60")


# --- noise -----------------------------------------------------------------------------------------------------------


def noisy(folder: Path, *runs: list[float], code: str = "c") -> Any:
    store = a_library(folder)
    for number, units in enumerate(runs):
        run_with(store, measurement(units, seed=number + 1, code=code * 64))
    return store


def test_two_runs_that_differ_by_nothing_but_the_seed_are_called_noise_without_a_run(tmp_path: Path) -> None:
    store = noisy(tmp_path, *[around(0.32 + step, 0.1) for step in (0.02, -0.02, 0.0)])
    found = bisect(store, Asked("the-gap"), means(tmp_path), Silent())
    assert found.answer
    assert (found.answer.cause, found.steps) == ("seeds", ())
    assert found.answer.said.startswith("Seeds: noise alone would do: the units of the two runs differ with p = ")


def test_a_change_that_noise_explains_is_named_and_not_blamed(tmp_path: Path) -> None:
    store = noisy(tmp_path, around(0.34, 0.1))
    run_with(store, measurement(around(0.29, 0.1), seed=2, code="d" * 64))
    found = bisect(store, Asked("the-gap"), means(tmp_path), Silent())
    assert found.answer
    assert (found.answer.cause, found.steps) == ("seeds", ())
    assert found.answer.said.endswith("The code changed too, which is not needed to explain it.")


def test_the_seed_is_blamed_where_the_good_run_comes_out_again_and_nothing_else_differs(lab: Lab) -> None:
    lab.run()
    remade(lab, newest(lab), -2.0)
    found = asked(lab)
    assert found.answer
    assert found.answer.cause == "seeds"
    assert [step.same_bits_as for step in found.steps] == ["the good run"]
    assert "yet noise alone would hardly do" in found.answer.said


@pytest.mark.parametrize("seed", range(5))
def test_welchs_p_is_that_of_scipy(seed: int) -> None:
    draw = random.Random(seed)
    first, second = ([draw.gauss(0, spread) for _ in range(count)] for spread, count in ((1, 8), (3, 5 + seed)))
    assert welch(first, second) == pytest.approx(ttest_ind(first, second, equal_var=False).pvalue, rel=1e-9)


def test_welchs_p_without_spread_is_certain() -> None:
    assert welch([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert welch([1.0, 1.0], [2.0, 2.0]) == 0.0
    with pytest.raises(ValueError, match="two units or more"):
        welch([1.0], [1.0, 2.0])


def test_the_chance_that_runs_of_one_truth_disagree_is_that_of_a_simulation_of_whole_runs(tmp_path: Path) -> None:
    store = noisy(tmp_path, *[around(0.25 + step, 0.12, 12) for step in (0.08, -0.08)])
    with store.reading() as session:
        two = pair(session, Asked("the-gap", good="1", bad="2"))
    draw, said, flips = random.Random(7), contract(), 0
    for _ in range(500):
        words = [_word(said, [draw.gauss(0.25, 0.12) for _ in range(12)]) for _ in range(2)]
        flips += "HOLDS" in words and len(set(words)) > 1
    assert noise(two).chance == pytest.approx(flips / 500, abs=0.06)


def _word(said: Any, units: list[float]) -> str:
    return judge(said, measurement(units)).word


# --- which runs ------------------------------------------------------------------------------------------------------


def test_the_last_run_that_held_and_the_first_that_did_not_are_taken(tmp_path: Path) -> None:
    holds, refuted, open_ = around(0.6, 0.1), around(-0.3, 0.1), around(0.2, 0.3)
    store = noisy(tmp_path, holds, refuted, holds, open_, refuted, refuted)
    with store.reading() as session:
        two = pair(session, Asked("the-gap"))
        assert (two.good.given.number, two.bad.given.number) == (3, 5)
        named = pair(session, Asked("the-gap", good="1"))
        assert (named.good.given.number, named.bad.given.number) == (1, 2)
        bad = pair(session, Asked("the-gap", bad="the-gap:6"))
        assert (bad.good.given.number, bad.bad.given.number) == (3, 6)


def test_void_runs_are_asked_about_where_nothing_else_went_wrong(tmp_path: Path) -> None:
    store = noisy(tmp_path, around(0.6, 0.1))
    run_with(store, measurement(around(0.6, 0.1), seed=2, code="d" * 64, controls=[control(passed=False)]))
    with store.reading() as session:
        two = pair(session, Asked("the-gap"))
        assert two.bad.given.verdict.word == "VOID"
        assert "cannot be judged" in noise(two).said


def test_a_claim_that_never_flipped_is_told_so(tmp_path: Path) -> None:
    store = noisy(tmp_path, around(-0.3, 0.1), around(0.6, 0.1))
    with pytest.raises(NoAnswer, match="no run that held and a later one that did not"):
        bisect(store, Asked("the-gap"), means(tmp_path), Silent())
    with pytest.raises(NoAnswer, match="no run is called"):
        bisect(store, Asked("the-gap", good="7"), means(tmp_path), Silent())


def test_a_composite_claim_is_asked_about_by_the_part_that_it_fell_by(tmp_path: Path) -> None:
    also = [{"endpoint": "row_ratio", "regions": written()["regions"], "design_effect": 1.82}]
    store = a_library(tmp_path, {"the-gap": written(also=also)})
    for number, centre in enumerate((0.6, -0.4)):
        parts = [endpoint(around(0.6, 0.1)), endpoint(around(centre, 0.1), "row_ratio")]
        run_with(store, measurement(parts, seed=number + 1))
    with store.reading() as session:
        two = pair(session, Asked("the-gap"))
    assert two.part == 1
    assert noise(two).p == pytest.approx(0.0, abs=1e-6)
    assert seen(two, "bad").estimate < 1


def test_four_years_of_runs_are_looked_through_in_a_moment(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    four_years(store, ["the-gap"])
    with store.reading() as session:
        two = pair(session, Asked("the-gap"))
    assert two.good.at < two.bad.at
    assert noise(two).p is not None


def test_contracts_about_other_quantities_cannot_be_held_against_each_other(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    run_with(store, measurement(all_endpoints(around(0.6, 0.1))))
    other = next(one.name for one in ENTROPY_GAP.endpoints if one.name != "interaction_did" and one.scale == "log")
    library.bring_in(store, [claim_page(tmp_path / "pages", "the-gap", written(endpoint=other))], NOW)
    run_with(store, measurement(all_endpoints(around(-0.6, 0.1)), seed=2))
    found = bisect(store, Asked("the-gap"), means(tmp_path), Silent())
    assert found.answer
    assert (found.answer.cause, found.steps) == ("apart", ())


def test_a_dry_run_says_what_it_would_do_and_does_nothing(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    flipping(lab)
    watcher = Silent()
    found = bisect(lab.store, Asked(lab.slug), means(lab.folder), watcher, dry_run=True)
    assert watcher.heard == []
    assert found.answer is None
    assert found.planned == (
        "the good run's seed with the bad run's code, in today's environment",
        "if it is the code, 2 more at most, to find which of 3 commits it is",
    )
    questioning.bisection(found)
    assert "At most 1 run" in capsys.readouterr().out


def test_the_command_names_the_change(lab: Lab) -> None:
    flipping(lab)
    done = stillholds("bisect", lab.slug, store=lab.store.path)
    assert done.returncode == 0, done.stderr
    assert "`trivial.experiment.SHIFT` 1.0 → -1.0 (trivial/experiment.py)" in done.stdout
    assert typed("bisect", lab.slug, "--subject", "trivial:nothing", store=lab.store.path).returncode == 1


# --- which runs a question needs ------------------------------------------------------------------------------------

AXES: tuple[Axis, ...] = ("parameters", "threads", "code", "environment")


def _outcome(step: Step, culprit: str) -> Result:
    """What a run gives where CULPRIT alone flips it; the bad run's environment is not here."""
    if culprit == "seeds":
        return "flips" if step.seed == "bad" else "holds"
    return "flips" if getattr(step, culprit, "good") == "bad" else "holds"


def test_a_changed_code_is_not_blamed_where_the_good_seed_still_holds_on_it(lab: Lab) -> None:
    lab.run()
    lab.edit("    return Findings(", "    done += 0\n    return Findings(")
    lab.run()
    one = newest(lab)
    with lab.store.reading() as session:
        said = history(session, claim_id(lab.store, lab.slug)).runs
    assert [run.word for run in said] == ["HOLDS", "HOLDS"]
    remade(lab, one, -4.0)
    found = asked(lab, good="1")
    assert found.answer
    assert found.answer.cause == "seeds"
    assert "the good run's seed still holds" in found.answer.said


@pytest.mark.parametrize("differs", [set(some) for n in range(1, 5) for some in itertools.combinations(AXES, n)])
def test_whatever_changed_the_one_that_flips_it_is_found_in_few_runs(differs: set[Axis]) -> None:
    here: frozenset[Side] = frozenset({"good"} if "environment" in differs else {"good", "bad"})
    facts = Facts(frozenset(differs), frozenset({"good", "bad"}), here)
    for culprit in [*differs, "seeds"]:
        results: dict[Step, Result] = {}
        while isinstance(step := suspects.following(facts, results), Step):
            assert step not in results
            results[step] = _outcome(step, culprit)
        assert step == culprit
        assert len(results) <= suspects.most(facts) <= 3
        assert {branch.step for branch in suspects.all_that_may_be_needed(facts)} >= results.keys()


def test_where_the_good_run_was_made_elsewhere_it_is_made_here_first() -> None:
    facts = Facts(frozenset({"code", "environment"}), frozenset({"good", "bad"}), frozenset({"bad"}))
    flipped = suspects.whole(facts)
    base = suspects.following(facts, {flipped: "flips"})
    assert base == Step("good", "good", "good", "good")
    assert suspects.following(facts, {flipped: "flips", base: "flips"}) == "environment"
    assert suspects.following(facts, {flipped: "flips", base: "holds"}) == "code"
    without = facts._replace(can_make=frozenset({"bad"}))
    assert suspects.following(without, {flipped: "flips"}) == "code or environment"
    assert suspects.following(facts, {flipped: "unclear"}) == "undecided"


# --- old code --------------------------------------------------------------------------------------------------------


def code(**names: str) -> Code:
    return Code(digest="", names={f"far.parts:{name}": text for name, text in names.items()}, facts={})


@pytest.mark.parametrize(
    ("name", "was", "now", "said"),
    [
        ("STEPS", "STEPS = 600", "STEPS = 60", "`far.parts.STEPS` 600 → 60 (far/parts.py)"),
        (
            "Recipe",
            "class Recipe:\n    steps: int = 600\n    rate: float = 0.1",
            "class Recipe:\n    steps: int = 60\n    rate: float = 0.1",
            "`far.parts.Recipe.steps` 600 → 60 (far/parts.py)",
        ),
        (
            "made",
            "def made():\n    return 1",
            "def made():\n    return 2",
            "`far.parts.made` return 1 → return 2 (far/parts.py)",
        ),
    ],
)
def test_a_change_is_named_as_far_as_it_goes(name: str, was: str, now: str, said: str) -> None:
    (found,) = changes(code(**{name: was}), code(**{name: now}))
    assert str(found) == said


def test_what_is_too_long_for_a_sentence_is_told_in_lines() -> None:
    was = "PLANTED = {'low': 0.5, 'middle': 0.75, 'high': 1.0, 'design': 2.0, 'other': 3.0}"
    (found,) = changes(code(PLANTED=was), code(PLANTED=was.replace("2.0", "1.0")))
    assert (str(found), found.is_long) == ("`far.parts.PLANTED` (far/parts.py)", True)


def test_names_that_came_or_went_and_what_a_record_says_are_changes_too() -> None:
    was, now = code(gone="A = 1"), code(new="B = 1")
    now = now.model_copy(update={"facts": {"parameter size": "1"}})
    was = was.model_copy(update={"facts": {"parameter size": "2"}})
    assert [str(one) for one in changes(was, now)] == [
        "`far.parts.gone` is gone (far/parts.py)",
        "`far.parts.new` is new (far/parts.py)",
        "`parameter size` 2 → 1 (its record)",
    ]


def test_code_in_a_folder_that_a_repository_ignores_is_in_no_repository(lab: Lab, tmp_path: Path) -> None:
    assert checkout.source_of(find("trivial")).repository == lab.root.resolve()
    (lab.root / ".gitignore").write_text("trivial\n")
    lab.git("rm", "-r", "--quiet", "--cached", "trivial")
    lab.commit("Ignored")
    assert checkout.source_of(find("trivial")).repository is None


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_our_own_code_is_laid_out_from_git_and_read_by_its_own_rules() -> None:
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    with scratch_folder() as scratch:
        versions = Versions(ENTROPY_GAP, scratch)
        found = versions.code(done.stdout.strip())
        assert found is not None
        assert "verifiers.lab.training:Pretraining" in found.names
        origin = measurement([0.0]).provenance.model_copy(update={"commit": done.stdout.strip()})
        assert versions.holding(found.digest, origin) == done.stdout.strip()
        assert versions.holding("0" * 64, origin) is None
        assert versions.code("f" * 40) is None


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_our_own_code_of_a_commit_runs_in_a_child(tmp_path: Path) -> None:
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    said = written(subjects=["planted:gap-1.82"])
    store = a_library(tmp_path, {"the-gap": said})
    (job,) = verification.plan(store, None, "standard", NOW)
    with scratch_folder() as scratch:
        versions = Versions(ENTROPY_GAP, scratch)
        command = versions.command(done.stdout.strip())
        made = recorded.made(job, 1, measurement([0.0]).provenance, 1, lambda _done: None, command=command)
        found = versions.code(done.stdout.strip())
    assert isinstance(made, Measurement), made
    assert found is not None
    assert made.provenance.code_digest == found.digest
    assert made.provenance.commit is None  # it ran where git had laid it out, and not here
