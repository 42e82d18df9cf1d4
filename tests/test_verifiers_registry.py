"""The table of verifiers, and the digest of the code that their numbers depend on."""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from claims.contract import contract_from
from verifiers import provenance, registry
from verifiers.__main__ import load
from verifiers.measurement import SubjectRef
from verifiers.registry import (
    ENTROPY_GAP,
    SUBJECTS,
    VERIFIERS,
    BadParameters,
    UnknownSubject,
    UnknownVerifier,
    Verifier,
    find,
    find_subject,
)

every_verifier = pytest.mark.parametrize("verifier", VERIFIERS.values(), ids=VERIFIERS)


@every_verifier
def test_a_record_says_everything_in_words(verifier: Verifier) -> None:
    for field in ("question", "measures", "on", "refuted_by", "unit", "version"):
        assert getattr(verifier, field).strip(), field
    for field in ("does_not_say", "sources", "controls", "endpoints", "subjects"):
        assert getattr(verifier, field), field
    assert all(endpoint.meaning and endpoint.quantity for endpoint in verifier.endpoints)
    assert all(parameter.meaning for parameter in verifier.parameters)
    assert {"smoke", "standard", "thorough"} == set(verifier.profiles)
    assert all(profile.says and profile.cpu_seconds > 0 and profile.units > 1 for profile in verifier.profiles.values())


@every_verifier
def test_numbers_of_a_record_make_sense(verifier: Verifier) -> None:
    for endpoint in verifier.endpoints:
        assert endpoint.cap[0] < endpoint.cap[1]
        assert endpoint.noise_floor > 0
        assert endpoint.null > 0 or endpoint.scale == "linear"
    for parameter in verifier.parameters:
        assert parameter.low <= parameter.default <= parameter.high


@every_verifier
def test_names_in_a_record_are_there_once(verifier: Verifier) -> None:
    for records in (verifier.endpoints, verifier.parameters):
        names = [record.name for record in records]
        assert len(set(names)) == len(names)


def test_the_tables_hold_every_record_under_its_own_name() -> None:
    assert all(name == verifier.name for name, verifier in VERIFIERS.items())
    assert all(name == facts.name for name, facts in SUBJECTS.items())
    records = [value for value in vars(registry).values() if isinstance(value, Verifier)]
    assert len(records) == len(VERIFIERS)  # a duplicate name would have hidden one


@every_verifier
def test_the_entry_leads_to_an_experiment_and_every_subject_is_described(verifier: Verifier) -> None:
    assert callable(load(verifier))
    for subject in verifier.subjects:
        facts = find_subject(SubjectRef.parse(subject), verifier)
        assert facts.title
        assert facts.stage
        assert facts.domain
        assert facts.parameters > 0


@every_verifier
def test_the_default_contract_is_one_that_claims_accept(verifier: Verifier) -> None:
    contract = contract_from({**verifier.default_contract, "verifier": verifier.name})
    assert contract.subjects == verifier.subjects
    assert contract.unit.first_look <= verifier.profiles["standard"].units  # one standard run can decide


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ENTROPY_GAP.name = "other"  # type: ignore[misc]


def test_a_typo_in_a_verifier_gets_a_suggestion() -> None:
    with pytest.raises(UnknownVerifier, match="did you mean entropy_gap"):
        find("entropygap")
    with pytest.raises(UnknownVerifier, match="there is: entropy_gap"):
        find("zzz")


def test_a_typo_in_a_subject_gets_a_suggestion() -> None:
    with pytest.raises(UnknownSubject, match="did you mean lab:story"):
        find_subject(SubjectRef.parse("lab:stroy"), ENTROPY_GAP)


def test_a_typo_in_an_endpoint_or_a_parameter_gets_a_suggestion() -> None:
    with pytest.raises(BadParameters, match="did you mean interaction_did"):
        ENTROPY_GAP.endpoint("interaction_dit")
    with pytest.raises(BadParameters, match="did you mean own_entropy"):
        ENTROPY_GAP.checked({"own_entropie": 0.4})


def test_parameters_are_filled_in_and_become_numbers() -> None:
    assert ENTROPY_GAP.checked({"own_entropy": 1}) == {"own_entropy": 1.0, "deeper_entropy": 0.30}


def test_the_second_dose_lies_below_the_first() -> None:
    with pytest.raises(BadParameters):
        ENTROPY_GAP.checked({"own_entropy": 0.3, "deeper_entropy": 0.45})


@pytest.mark.parametrize("text", ["lab:story", "hf:owner/name", "traces:a:b", ":", "story"])
def test_a_subject_is_a_scheme_and_a_locator(text: str) -> None:
    assert str(SubjectRef.parse(text)) == (text if ":" in text else f"{text}:")


def test_listing_verifiers_loads_nothing_heavy() -> None:
    code = "import sys, verifiers.registry; print([m for m in ('torch', 'numpy', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- the digest of the code ------------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's files in a folder of their own, where the digest looks."""
    shutil.copytree(provenance.ROOT, tmp_path / "verifiers", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "verifiers")
    return tmp_path / "verifiers"


def edited(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")


def test_a_copy_of_the_code_has_the_digest_of_the_code(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = provenance.code_digest(ENTROPY_GAP)
    monkeypatch.undo()
    assert provenance.code_digest(ENTROPY_GAP) == copied
    assert copy.is_dir()


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("entropy_gap.py", lambda text: text.replace("FLOOR = 0.05", "FLOOR = 0.06")),
        ("entropy_gap.py", lambda text: text.replace("texts: int = 256", "texts: int = 257")),
        ("lab/story.py", lambda text: text.replace("TOPICS = 6", "TOPICS = 5")),
        ("lab/training.py", lambda text: text.replace("steps: int = 600", "steps: int = 601")),
        ("lab/sampling.py", lambda text: text.replace("[:, 1:]", "[:, :-1]")),
        ("lab/frozen.py", lambda text: text.replace('DIGEST = "', 'DIGEST = "0')),
        ("lab/new.py", None),
    ],
)
def test_a_change_of_the_code_changes_the_digest(file: str, change: Callable[[str], str] | None, copy: Path) -> None:
    before = provenance.code_digest(ENTROPY_GAP)
    if change is None:
        (copy / file).write_text("X = 1\n")
    else:
        edited(copy / file, change)
    assert provenance.code_digest(ENTROPY_GAP) != before


@pytest.mark.parametrize("file", ["entropy_gap.py", "lab/story.py", "lab/model.py"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"# a comment\n{text}\n# another\n",
        lambda text: text.replace('"""', '"""Said differently. ', 1),
        lambda text: text.replace("\n\n", "\n\n\n\n").replace("(\n", "(  # why\n"),
    ],
    ids=["comments", "docstring", "layout"],
)
def test_comments_docstrings_and_layout_do_not(file: str, change: Callable[[str], str], copy: Path) -> None:
    before = provenance.code_digest(ENTROPY_GAP)
    edited(copy / file, change)
    assert provenance.code_digest(ENTROPY_GAP) == before


def test_the_settings_in_the_record_belong_to_the_digest() -> None:
    parameter, *others = ENTROPY_GAP.parameters
    moved = dataclasses.replace(parameter, default=0.5)
    changed = dataclasses.replace(ENTROPY_GAP, parameters=(moved, *others))
    assert provenance.code_digest(changed) != provenance.code_digest(ENTROPY_GAP)


def test_words_in_the_record_do_not() -> None:
    changed = dataclasses.replace(ENTROPY_GAP, question="Said differently?", refuted_by="something")
    assert provenance.code_digest(changed) == provenance.code_digest(ENTROPY_GAP)


def test_the_commit_is_the_one_of_the_checkout_or_unknown() -> None:
    revision, changed = provenance.commit()
    assert (revision is None) == (changed is None)
    assert revision is None or len(revision) == 40


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit() == (None, None)


def test_versions_of_what_numbers_rest_on_are_named() -> None:
    assert {"torch", "numpy", "safetensors", "stillholds"} == set(provenance.packages())
