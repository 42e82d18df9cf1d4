"""The table of verifiers, and the digest of the code that their numbers depend on."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import verifiers
from claims import worker
from claims.contract import contract_from
from claims.errors import BadContract
from claims.measuring import plan
from claims.regime import differences
from stillholds import present
from stillholds.methods import sections
from tests.cli_support import answer, stillholds, typed
from tests.verifiers_support import RECORD, certificate_for, package
from verifiers import provenance, registry, sources, table
from verifiers.__main__ import load
from verifiers.measurement import Failure, Request, SubjectRef
from verifiers.registry import (
    ENTROPY_GAP,
    SUBJECTS,
    VERIFIERS,
    BadPackage,
    BadParameters,
    RefusedVerifier,
    UnknownSubject,
    UnknownVerifier,
    Verifier,
    find,
    find_subject,
    runnable,
)

USABLE = {name: verifier for name, verifier in VERIFIERS.items() if not verifier.refused}
every_verifier = pytest.mark.parametrize("verifier", USABLE.values(), ids=USABLE)


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
    records = [value for value in vars(table).values() if isinstance(value, Verifier)]
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
    assert contract.subjects == verifier.subjects[:1]  # the others are asked for by name
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


@pytest.mark.parametrize(
    ("verifier", "switch"), [("entropy_gap", "rivals"), ("forking_share", "details"), ("collapse_fit", "details")]
)
def test_what_a_switch_adds_is_added_whole_or_not_at_all(verifier: str, switch: str) -> None:
    record = find(verifier)
    assert [record.checked({switch: value})[switch] for value in (0, 1)] == [0.0, 1.0]
    with pytest.raises(BadParameters, match=rf"{switch} = 0\.5: give 0 or 1"):
        record.checked({switch: 0.5})


def test_parameters_are_filled_in_and_become_numbers() -> None:
    defaults = {spec.name: spec.default for spec in ENTROPY_GAP.parameters}
    assert ENTROPY_GAP.checked({"own_entropy": 1}) == defaults | {"own_entropy": 1.0}


def test_the_second_dose_lies_below_the_first() -> None:
    with pytest.raises(BadParameters):
        ENTROPY_GAP.checked({"own_entropy": 0.3, "deeper_entropy": 0.45})


@pytest.mark.parametrize("text", ["lab:story", "hf:owner/name", "traces:a:b", ":", "story"])
def test_a_subject_is_a_scheme_and_a_locator(text: str) -> None:
    assert str(SubjectRef.parse(text)) == (text if ":" in text else f"{text}:")


def test_listing_verifiers_loads_nothing_heavy() -> None:
    code = "import sys, verifiers.registry; print([m for m in ('torch', 'numpy', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- a check that cannot fail ------------------------------------------------------------------------------------------


def test_the_check_that_cannot_fail_is_shown_with_the_reason() -> None:
    (said,) = [one for one in answer("verifiers", "list") if one["status"] == "refused"]
    assert said["name"] == "top_fifth_share"
    assert "cannot come out both ways" in said["reason"]
    assert said["certificate"] is None
    shown = typed("verifiers", "show", "top_fifth_share").stdout
    assert "It cannot come out both ways" in shown
    assert "measure top_fifth_share" not in shown


def test_the_check_that_cannot_fail_is_refused_wherever_it_would_run() -> None:
    with pytest.raises(RefusedVerifier, match="by definition"):
        plan("top_fifth_share", "lab:story", "standard")
    with pytest.raises(BadContract, match="refused and never run: it cannot come out both ways"):
        contract_from({**table.TOP_FIFTH.default_contract, "verifier": "top_fifth_share"})
    request = Request(verifier="top_fifth_share", subject=SubjectRef.parse("lab:story"), seed=1, cache="")
    ended = worker.measure(request, 120, lambda _: None, lambda: False)
    assert isinstance(ended, Failure)
    assert ended.reason.startswith("RefusedVerifier: the verifier top_fifth_share is refused")
    done = typed("measure", "top_fifth_share", "--subject", "lab:story")
    assert done.returncode == 1
    assert "never run" in done.stderr


def test_a_claim_with_the_check_that_cannot_fail_is_refused_at_import(tmp_path: Path) -> None:
    contract = json.dumps(table.TOP_FIFTH.default_contract | {"verifier": "top_fifth_share"})
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "fifth.md").write_text(
        f"---\ntitle: A fifth is a fifth\ncontract: {contract}\n---\nIt is.\n"
    )
    typed("init", store=tmp_path / "library.db")
    done = stillholds("import", tmp_path / "claims", store=tmp_path / "library.db")
    assert done.returncode != 0
    assert "20 % of the tokens by definition" in done.stderr


# --- verifiers of other packages ---------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path where packages can be put; what was looked up before is forgotten, and after too."""
    caches = (registry.faults, registry._offered, registry._loaded, registry.certificate_of)
    modules = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_a_verifier_of_another_package_is_found_with_its_subjects(installed: Path) -> None:
    package(installed, "clocks", "lateness")
    record = find("lateness")
    assert [*registry.verifiers()] == [*VERIFIERS, "lateness"]
    assert find_subject(SubjectRef.parse("clocks:tower"), record).title == "a tower's clock"
    assert registry.subjects().keys() == {*SUBJECTS, "clocks:tower", "clocks:early"}
    contract = contract_from({**record.default_contract, "verifier": "lateness"})
    assert contract.subjects == ("clocks:tower",)
    assert differences(contract.regime, "clocks:tower") == ()
    assert differences(contract.regime, "clocks:tawer") == ("a subject that is not known here",)


def test_a_verifier_of_another_package_is_measured_by_the_child(installed: Path) -> None:
    package(installed, "clocks", "lateness")
    done = stillholds("measure", "lateness", "--subject", "clocks:tower", "--json", PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["verdict"] == "HOLDS"
    assert said["endpoints"][0]["estimate"] == pytest.approx(2.35)


def test_verifiers_of_the_house_are_found_without_loading_others(installed: Path) -> None:
    package(installed, "clocks", "lateness")
    find_subject(SubjectRef.parse("lab:story"), find("entropy_gap"))
    runnable("entropy_gap")
    assert "clocks.record" not in sys.modules
    assert find("lateness").name == "lateness"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def {module}(", "SyntaxError"),
        ("CLOCK = dict()", "leads to a dict, not to a Verifier"),
        (RECORD.replace("name={name!r}", "name='other'"), "called 'other'"),
        (RECORD.replace('subjects=("{scheme}:tower"', 'subjects=("clocks:spire"'), "subject clocks:spire"),
        (RECORD.replace('("thorough", 16)', '("quick", 16)'), "lacks one of the profiles"),
        (RECORD.replace("endpoints=(EndpointSpec", "endpoints=() and (EndpointSpec"), "no endpoints"),
    ],
)  # fmt: skip
def test_a_broken_package_is_named_and_stops_nobody(installed: Path, record: str, said: str) -> None:
    package(installed, "clocks", "lateness", distribution="broken-clocks", record=record)
    package(installed, "sundials", "shade")
    assert [*registry.verifiers()] == [*VERIFIERS, "shade"]
    assert "broken-clocks" in registry.faults()["lateness"]
    with pytest.raises(BadPackage, match=re.escape(said)):
        find("lateness")


def test_own_subjects_bear_the_packages_name(installed: Path) -> None:
    package(installed, "clocks", "lateness", scheme="lab")
    with pytest.raises(BadPackage, match="must be named clocks:…, and lab:tower"):
        find("lateness")


def test_a_name_that_two_packages_offer_is_an_error_for_both(installed: Path) -> None:
    package(installed, "clocks", "lateness", distribution="one-clock")
    package(installed, "sundials", "lateness", distribution="other-clock")
    with pytest.raises(BadPackage, match="offered by one-clock and other-clock: one of them has to be renamed"):
        find("lateness")
    assert [*registry.verifiers()] == [*VERIFIERS]


def test_a_name_of_the_house_stays_with_the_house(installed: Path) -> None:
    package(installed, "clocks", "entropy_gap", distribution="greedy-clocks")
    assert find("entropy_gap") is ENTROPY_GAP
    assert registry.verifiers()["entropy_gap"] is ENTROPY_GAP
    assert "offered by greedy-clocks, and by stillholds itself" in registry.faults()["entropy_gap"]


def test_commands_go_on_beside_a_broken_package(installed: Path) -> None:
    package(installed, "clocks", "lateness", distribution="broken-clocks", record="raise RuntimeError('no spring')")
    package(installed, "sundials", "shade")
    path = str(installed)
    store = installed / "library.db"
    assert typed("init", store=store).returncode == 0
    done = typed("claims", store=store)
    assert (done.returncode, done.stderr.count("broken-clocks")) == (0, 0)
    for options in ([], ["--json"]):
        listed = typed("verifiers", "list", *options)
        assert listed.returncode == 0
        assert "shade" in listed.stdout
        assert "the package broken-clocks cannot be loaded: RuntimeError: no spring" in listed.stderr
    shown = stillholds("verifiers", "show", "lateness", PYTHONPATH=path)
    assert shown.returncode == 1
    assert "broken-clocks" in shown.stderr
    assert "Traceback" not in shown.stderr


# --- certificates -------------------------------------------------------------------------------------------------------


def write_certificate(code: Path, **changes: Any) -> None:
    (code / "certificates").mkdir()
    text = certificate_for(find("lateness"), **changes).model_dump_json()
    (code / "certificates" / "lateness.json").write_text(text)


def test_a_certificate_beside_the_code_makes_a_verifier_certified(installed: Path) -> None:
    code = package(installed, "clocks", "lateness")
    write_certificate(code)
    said = present.verifier(find("lateness"))
    assert said["status"] == "certified"
    for level in ("false_holds", "false_refuted", "power", "coverage"):
        assert said["certificate"][level].keys() == {"rate", "count", "n", "bound"}
    assert said["certificate"]["end_to_end"]["as_planted"] == 12
    json.dumps(said)


@pytest.mark.parametrize("changes", [{"granted": False}, {"code_digest": "0" * 64}])
def test_a_certificate_that_was_not_granted_or_is_for_other_code_does_not(
    installed: Path, changes: dict[str, Any]
) -> None:
    write_certificate(package(installed, "clocks", "lateness"), **changes)
    assert registry.status(find("lateness")) == "uncertified"
    assert present.verifier(find("lateness"))["certificate"] is None


def test_a_change_of_the_experiment_takes_the_certificate_away(installed: Path) -> None:
    code = package(installed, "clocks", "lateness")
    write_certificate(code)
    assert registry.status(find("lateness")) == "certified"
    edited(code / "experiment.py", lambda text: text.replace("2.0 +", "3.0 +"))
    registry.certificate_of.cache_clear()
    assert registry.status(find("lateness")) == "uncertified"


def test_a_certificate_is_read_out_in_plain_sentences(installed: Path) -> None:
    write_certificate(package(installed, "clocks", "lateness"))
    parts = {part.title: part for part in sections(find("lateness"))}
    rule, instrument, whole, made = parts["How often it is wrong"].lines
    assert "2,000 simulated histories of 208 looks" in rule
    assert (
        "HOLDS falsely in 44 of 2,000 at worst (truth 1.25), at most 2.82 %" in rule
    )  # where binom.cdf(44, 2000, p) = 0.05
    assert "HOLDS falsely in 12 of 500" in instrument
    assert "right in 470 of 500" in instrument
    assert "made void: 1 of 200" in instrument
    assert "12 of 12 complete runs came out as planted, so at most 22.1 %" in whole
    assert "2026-11-20" in made
    assert parts["Breaks that are caught"].lines[0] == "stopped clock: 59 of 59"
    assert parts["Subjects of known truth"].lines[1] == (
        "the truth is 2: `stillholds measure lateness --subject clocks:tower`"
    )


def test_without_a_certificate_nobody_pretends_to_know(installed: Path) -> None:
    package(installed, "clocks", "lateness")
    parts = {part.title: part for part in sections(find("lateness"))}
    assert parts["How often it is wrong"].text.startswith("Nobody has measured that yet")
    assert parts["Breaks that must be caught"].lines == ("stopped clock",)


# --- the digest of the code ------------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's files in a folder of their own, where the digest looks."""
    shutil.copytree(provenance.ROOT, tmp_path / "verifiers", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(verifiers.__spec__, "origin", str(tmp_path / "verifiers" / "__init__.py"))
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
        ("lab/story.py", lambda text: f"from verifiers.lab import unheard_of\n{text}"),
        ("lab/story.py", lambda text: f"{text}\nprint('imported')\n"),
    ],
)
def test_a_change_of_the_code_changes_the_digest(file: str, change: Callable[[str], str], copy: Path) -> None:
    (copy / "lab" / "unheard_of.py").write_text("import torch\ntorch.set_num_threads(3)\n")
    before = provenance.code_digest(ENTROPY_GAP)
    edited(copy / file, change)
    assert provenance.code_digest(ENTROPY_GAP) != before


@pytest.mark.parametrize("file", ["entropy_gap.py", "lab/path.py", "lab/training.py", "stats.py"])
def test_a_function_beside_those_that_are_used_changes_nothing(file: str, copy: Path) -> None:
    before = provenance.trial_digest(ENTROPY_GAP)
    edited(copy / file, lambda text: f"{text}\n\ndef unheard_of() -> int:\n    return 1\n")
    assert provenance.trial_digest(ENTROPY_GAP) == before


@pytest.mark.parametrize(
    ("statistic", "stale"),
    [
        ("sign_sequence", {"forking_share", "collapse_fit"}),  # judged by the median
        ("composite_level", {"forking_share"}),  # of several parts
        ("lai_sequence", {"entropy_gap", "forking_share", "collapse_fit"}),
    ],
)
def test_a_certificate_is_keyed_by_the_statistics_that_judge_its_verifier(
    statistic: str, stale: set[str], copy: Path
) -> None:
    ours = [find(name) for name in ("entropy_gap", "forking_share", "collapse_fit")]
    before = {one.name: provenance.trial_digest(one) for one in ours}
    edited(copy / "stats.py", lambda text: text.replace(f"def {statistic}(", f"def {statistic}(*, _other: int = 0, "))
    assert {one.name for one in ours if provenance.trial_digest(one) != before[one.name]} == stale


def test_every_statistic_that_judges_belongs_to_the_digest_of_a_trial() -> None:
    claims = Path(worker.__file__).parent
    used = {name for file in claims.glob("*.py") for name in re.findall(r"\bstats\.([a-z][a-z_]+)\b", file.read_text())}
    covered = {*provenance.JUDGING, *provenance.JUDGING_MEDIANS, *provenance.JUDGING_PARTS}
    assert used - {"sample_level"} <= covered  # a certificate tries one sample; what comes after is read more strictly
    assert covered - {"lai_sequence"} <= used  # which a sample adds up by itself: a test holds it against this


def test_what_is_used_is_followed_through_modules_packages_and_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "__init__.py": "from .parts import whole as handed_on\n",
        "experiment.py": "import far.tools\nfrom far import handed_on, parts as own\n\n"
        "def measure():\n    from .late import later\n    return handed_on(), own.ONE, later(), far.tools.used()\n\n"
        "def beside():\n    return own.OTHER\n",
        "parts.py": "ONE = 1\nOTHER = 2\nTWO = 2\n\ndef whole():\n    return TWO\n",
        "late.py": "def later():\n    return 3\n",
        "tools.py": "def used():\n    return 4\n",
    }
    (tmp_path / "far").mkdir()
    for name, text in files.items():
        (tmp_path / "far" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    names = {source.partition("\n")[0] for source in sources.reached("far.experiment:measure")}
    assert names >= {
        "far.experiment:measure",
        "far.parts:ONE",
        "far.parts:whole",
        "far.parts:TWO",
        "far.late:later",
        "far.tools:used",
    }
    assert not names & {"far.experiment:beside", "far.parts:OTHER"}


def test_a_module_that_the_experiment_does_not_import_does_not(copy: Path) -> None:
    before = provenance.code_digest(ENTROPY_GAP)
    (copy / "lab" / "unheard_of.py").write_text("X = 1\n")
    edited(copy / "measurement.py", lambda text: f"{text}\nX = 1\n")  # carries numbers, cannot change one
    assert provenance.code_digest(ENTROPY_GAP) == before


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
