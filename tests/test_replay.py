"""A recorded run made again: the same bits, or by how much not; and never evidence."""

import json
from pathlib import Path
from typing import Any

import pytest

from claims import ledger, library, recorded, runs, verification
from claims.audit import audit
from claims.errors import ClaimError, NoAnswer
from claims.ledger import Replayed
from claims.recorded import Spare
from claims.replay import Replay, compare, farthest, replay
from kb.errors import KbError
from kb.store import Store
from tests.claims_support import (
    NOW,
    Silent,
    a_library,
    around,
    claim_page,
    endpoint,
    means,
    measurement,
    past,
    run_with,
    sql,
    written,
)
from tests.cli_support import typed
from tests.question_support import Lab, lab
from tests.queue_support import numbers
from verifiers.measurement import Failure, Request
from verifiers.registry import UnknownVerifier

__all__ = ["lab"]


def again(lab: Lab, said: str = "", store: Store | None = None) -> Replay:
    return replay(store or lab.store, said or f"{lab.slug}:1", means(lab.folder), Silent())


def replays(lab: Lab, slug: str = "") -> list[Replayed]:
    entries = past(lab.store, slug or lab.slug).entries
    return [entry.event for entry in entries if isinstance(entry.event, Replayed)]


# --- what comes out --------------------------------------------------------------------------------------------------


def test_the_same_code_and_seed_give_the_same_bits_and_the_ledger_says_so(lab: Lab) -> None:
    lab.run()
    before = past(lab.store, lab.slug)
    found = again(lab)
    assert (found.identical, found.agrees, found.changed, found.not_recorded) == (True, True, (), "")
    (event,) = replays(lab)
    assert (event.identical, event.largest, event.agrees, event.number) == (True, 0.0, True, 1)
    after = past(lab.store, lab.slug)
    assert (after.standing, after.runs) == (before.standing, before.runs)
    assert audit(lab.store).problems == ()
    with lab.store.reading() as session:
        assert ledger.measurement(session, event.measurement_digest).provenance.seed == found.seed


def test_a_change_beyond_the_noise_floor_is_told_with_its_size_and_its_unit(lab: Lab) -> None:
    lab.run()
    lab.edit("    return Findings(", "    values[2] += 0.5\n    return Findings(")
    found = again(lab)
    (size,) = found.endpoints
    assert (found.identical, found.agrees, size.unit) == (False, False, 2)
    assert size.largest == pytest.approx(0.5)
    assert [one.what for one in found.changed] == ["code"]
    assert [event.agrees for event in replays(lab)] == [False]


def test_code_that_agrees_within_the_noise_floor_goes_on_with_the_sample(lab: Lab) -> None:
    lab.run()
    lab.edit("    return Findings(", "    values[2] += 0.01\n    return Findings(")
    found = again(lab)
    assert (found.identical, found.agrees) == (False, True)
    lab.run()
    (reading,) = past(lab.store, lab.slug).standing.subjects
    assert (reading.sample, reading.runs, reading.n) == (1, 2, 16)


def test_code_that_was_never_replayed_begins_another_sample(lab: Lab) -> None:
    lab.run()
    lab.edit("    return Findings(", "    values[2] += 0.01\n    return Findings(")
    lab.run()
    (reading,) = past(lab.store, lab.slug).standing.subjects
    assert (reading.sample, reading.runs) == (2, 1)


def test_the_replay_of_a_smoke_run_vouches_for_nothing(lab: Lab) -> None:
    lab.run(profile="smoke")
    found = again(lab)
    assert found.identical
    assert "smoke" in found.not_recorded
    assert replays(lab) == []


def test_claims_that_share_a_run_are_told_each_in_its_own_chain(lab: Lab) -> None:
    stricter = numbers(regions={"holds": ">= 4", "weakened": "3 .. 4", "refuted": "< 3"}, design_effect=5)
    library.bring_in(lab.store, [claim_page(lab.pages, "other", stricter)], NOW)
    lab.run()
    found = again(lab)
    assert {(one.claim, one.was) for one in found.claims} == {(lab.slugs[0], "HOLDS"), (lab.slugs[1], "REFUTED")}
    assert [len(replays(lab, slug)) for slug in lab.slugs] == [1, 1]
    assert audit(lab.store).problems == ()


def test_the_units_of_a_run_are_asked_for_as_its_contract_had_them(lab: Lab) -> None:
    lab.bring(numbers(unit={"per_run": 11, "first_look": 8}))
    lab.run()
    assert again(lab).endpoints[0].units == 11


def test_other_versions_and_machines_are_named(lab: Lab) -> None:
    lab.run()
    with lab.store.reading() as session:
        (one,) = recorded.find(session, f"{lab.slug}:1")
        before = recorded.measurement_of(session, one)
    origin = before.provenance.model_copy(update={"packages": {**before.provenance.packages, "torch": "1.0"}})
    run_with(lab.store, before.model_copy(update={"provenance": origin}), lab.slug)
    found = again(lab, f"{lab.slug}/2")
    assert [(one.what, one.was) for one in found.changed] == [("torch", "1.0")]
    assert found.identical


def test_a_library_that_may_only_be_read_is_told_what_came_out_and_records_nothing(lab: Lab) -> None:
    lab.run()
    found = again(lab, store=Store.open(lab.store.location, read_only=True))
    assert found.identical
    assert "read-only" in found.not_recorded
    assert replays(lab) == []


# --- comparing -------------------------------------------------------------------------------------------------------


def test_units_count_as_their_caps_and_the_farthest_is_named() -> None:
    then = endpoint([0.0, 50.0, 0.2])
    assert farthest(then, endpoint([0.0, 60.0, 0.25])) == (pytest.approx(0.05), 2, "")
    assert farthest(then, then) == (0.0, None, "")


@pytest.mark.parametrize(
    ("now", "why"),
    [([0.0, 1.0], "3 units then, and 2 now"), ([0.0, "lost", 0.2], "unit 2 has a value in one and none in the other")],
)
def test_units_that_cannot_be_compared_say_why(now: list[Any], why: str) -> None:
    largest, _, reason = farthest(endpoint([0.0, 1.0, 0.2]), endpoint(now))
    assert (largest, reason) == (None, why)


def test_an_endpoint_that_is_gone_is_not_the_same_bits() -> None:
    then = measurement([endpoint([0.0, 1.0]), endpoint([0.0, 1.0], "row_ratio")])
    found = compare(then, measurement([endpoint([0.0, 1.0])]), {"interaction_did"})
    assert [(one.name, one.identical, one.reason) for one in found] == [
        ("interaction_did", True, ""),
        ("row_ratio", False, "not measured now"),
    ]


def test_a_request_to_older_code_says_only_what_has_to_be_said() -> None:
    asked = Spare(verifier="v", subject={"scheme": "a", "locator": "b"}, seed=3, cache="c", units=8)
    assert set(json.loads(asked.model_copy(update={"memory_mb": 512}).model_dump_json())) == {
        "verifier", "subject", "seed", "cache", "units", "memory_mb",
    }  # fmt: skip
    assert Request.model_validate_json(asked.model_dump_json()) == Request(**asked.model_dump())


# --- what cannot be replayed -----------------------------------------------------------------------------------------


def test_a_run_that_cannot_be_made_again_says_why_and_nothing_is_recorded(lab: Lab) -> None:
    lab.run()
    lab.edit("    return Findings(", '    raise RuntimeError("no such recipe")\n    return Findings(')
    entries = past(lab.store, lab.slug).entries
    with pytest.raises(NoAnswer, match=r"could not be made again, and nothing was recorded: .*no such recipe"):
        again(lab)
    assert past(lab.store, lab.slug).entries == entries


def test_a_run_whose_verifier_is_gone_cannot_be_replayed(lab: Lab) -> None:
    lab.run()
    (lab.root / "trivial-1.0.dist-info" / "entry_points.txt").unlink()
    lab.forget()
    with pytest.raises(UnknownVerifier, match="trivial"):
        again(lab)


def test_a_run_whose_measurement_is_lost_cannot_be_replayed(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    run_with(store, measurement(around(0.6, 0.1)))
    sql(store, "DELETE FROM measurement")
    with pytest.raises(NoAnswer, match="is not in the library, or spoilt"):
        replay(store, "the-gap:1", means(tmp_path), Silent())


def test_what_names_no_run_or_several_is_told(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    run_with(store, Failure(reason="the disk was full", cause="failed"))
    begun = runs.begin(store, verification.plan(store, ["the-gap"], "standard", NOW)[0], NOW)
    for said, why in [
        ("the-gap:1", "gave no measurement.*the disk was full"),
        ("the-gap:2", "has not ended"),
        ("the-gap:7", "no run is called"),
        ("01ZZZ", "no run is called"),
        ("", "no run is called"),
        ("%", "no run is called"),
        ("nothing:1", "nothing"),
    ]:
        with store.reading() as session, pytest.raises((ClaimError, KbError), match=why):
            recorded.find(session, said)
    runs.end(store, begun.id, measurement(around(0.6, 0.1)), NOW)
    library.bring_in(store, [claim_page(tmp_path / "pages", "the-gap", written(parameters={"own_entropy": 0.9}))], NOW)
    run_with(store, Failure(reason="x"))
    run_with(store, measurement(around(0.6, 0.1)))
    with store.reading() as session:
        (found,) = recorded.find(session, begun.id[:20].lower())
        assert (found.given.run, found.contract_version) == (begun.id, 1)
        with pytest.raises(NoAnswer, match=r"names 2 runs: say the id of one"):
            recorded.find(session, "the-gap:2")


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_ends_with_a_code_that_says_what_came_out(lab: Lab) -> None:
    lab.run()
    run = f"{lab.slug}:1"
    done = typed("replay", run, store=lab.store.path)
    assert (done.returncode, "The same bits" in done.stdout) == (0, True), done.stderr
    lab.edit("    return Findings(", "    values[2] += 0.5\n    return Findings(")
    done = typed("replay", run, "--json", store=lab.store.path)
    assert (done.returncode, json.loads(done.stdout)["agrees"]) == (3, False), done.stderr
    done = typed("replay", f"{lab.slug}:9", store=lab.store.path)
    assert (done.returncode, "no run is called" in done.stderr) == (1, True)
    assert len(replays(lab)) == 2
