"""The command line as people and scripts use it."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from claims import library, verification
from stillholds.cli import ExitCode
from tests.claims_support import NOW, claim_page
from tests.cli_support import EXAMPLES, INTERRUPTIBLE, answer, stillholds, typed
from tests.queue_support import numbers, trivial

__all__ = ["trivial"]

FULL = {"notes", "lines", "papers", "claims", "links", "runs", "verdicts"}
SOME = ("notes/own-words.md", "notes/good-fit.md", "claims/lower-on-own-text.md", "lines/what-reward-costs.md")
OUTCOME = {"verifier", "subject", "verdict", "reason", "certified", "endpoints", "controls", "provenance"}
ENDPOINT = {"name", "primary", "estimate", "interval", "level", "n", "unit", "null", "verdict", "reason"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with the example pages."""
    path = tmp_path_factory.mktemp("cli") / "library.db"
    assert stillholds("import", EXAMPLES, store=path).returncode == ExitCode.OK
    return path


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with some of them, their text embedded."""
    path = tmp_path_factory.mktemp("embedded") / "library.db"
    answer("import", *(EXAMPLES / page for page in SOME), store=path)
    return path


def test_the_help_names_every_command() -> None:
    listed = typed("--help").stdout
    for command in (
        "init",
        "up",
        "import",
        "search",
        "show",
        "claims",
        "verifiers",
        "verify",
        "measure",
        "audit",
        "stats",
        "app",
    ):
        assert f" {command} " in listed


def test_stats_counts_what_was_imported(store: Path) -> None:
    counts = answer("stats", store=store)
    assert counts.keys() >= FULL
    assert (counts["notes"], counts["lines"], counts["claims"]) == (
        len(list((EXAMPLES / "notes").glob("*.md"))),
        len(list((EXAMPLES / "lines").glob("*.md"))),
        len(list((EXAMPLES / "claims").glob("*.md"))),
    )
    assert counts["stubs"] == 0
    assert counts["runs"] == counts["verdicts"] == 0


def test_search_says_why_each_hit_was_found(embedded: Path) -> None:
    hits = answer("search", "is a model calmer when it reads its own words", store=embedded)
    assert {hit["kind"] for hit in hits} <= {"note", "line", "claim", "paper"}
    for hit in hits:
        assert hit.keys() == {"kind", "slug", "title", "score", "why"}
        assert hit["why"]["passage"]
        assert hit["why"]["meaning_rank"] or hit["why"]["words_rank"]


def test_search_filters_by_kind_and_standing(embedded: Path) -> None:
    assert {hit["kind"] for hit in answer("search", "entropy", "--kind", "line", store=embedded)} == {"line"}
    untested = answer("search", "entropy", "--standing", "untested", "--limit", "50", store=embedded)
    assert {hit["kind"] for hit in untested} == {"claim"}
    assert answer("search", "entropy", "--standing", "holds", store=embedded) == []
    assert all(
        "2026" in json.dumps(answer("show", hit["slug"], store=embedded)["date"])
        for hit in answer("search", "entropy", "--since", "2026", store=embedded)
    )


def test_without_the_weights_search_goes_by_words_and_says_so(store: Path) -> None:
    done = stillholds("search", "forking tokens", "--json", store=store)
    assert done.returncode == 0
    assert "by words alone" in done.stderr
    hits = json.loads(done.stdout)
    assert hits
    assert all(hit["why"]["meaning_rank"] is None and hit["why"]["words_rank"] for hit in hits)


def test_show_gives_a_claim_its_contract_and_standing(store: Path) -> None:
    claim = answer("show", "lower-on-own-text", store=store)
    assert claim["kind"] == "claim"
    assert claim["contract"]["regions"]["holds"] == [{"low": 1.25, "high": None}]
    assert claim["standing"]["word"] == "UNTESTED"
    assert claim["freshness"]["word"] == "DUE"


def test_every_claim_is_listed_with_its_standing(store: Path) -> None:
    rows = answer("claims", store=store)
    assert all(row["standing"] == "UNTESTED" for row in rows)
    assert {row["slug"] for row in rows} == {path.stem for path in (EXAMPLES / "claims").glob("*.md")}
    assert sum(row["verifier"] == "entropy_gap" for row in rows) == 11


def test_an_unknown_slug_is_answered_with_the_nearest(store: Path) -> None:
    done = typed("show", "lower-on-own-txt", store=store)
    assert done.returncode == ExitCode.FAILED
    assert "did you mean lower-on-own-text" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["verify", "lower-on-own-txt"], ExitCode.FAILED, "did you mean"),
        (["verify"], ExitCode.USAGE, "--all"),
        (["verify", "--all", "--profile", "standart"], ExitCode.USAGE, "did you mean standard"),
        (["verify", "--all", "--fail-on", "refutd"], ExitCode.USAGE, "did you mean refuted"),
        (["measure", "entropy_gab", "--subject", "lab:story"], ExitCode.FAILED, "did you mean entropy_gap"),
        (["measure", "entropy_gap", "--subject", "lab:stori"], ExitCode.FAILED, "did you mean lab:story"),
        (["measure", "entropy_gap", "--subject", "lab:story", "--seed", "-1"], ExitCode.USAGE, "--seed"),
        (["search", "x", "--kind", "nots"], ExitCode.USAGE, "did you mean note"),
        (["search", "x", "--since", "yesterday"], ExitCode.USAGE, "no date"),
        (["verifiers", "show", "entropy"], ExitCode.FAILED, "entropy_gap"),
    ],
)
def test_what_was_not_understood_is_said(store: Path, arguments: list[str], code: ExitCode, words: str) -> None:
    done = typed(*arguments, store=store)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", [["stats"], ["claims"], ["audit"], ["search", "x"], ["show", "x"], ["verify", "--all"]]
)
def test_without_a_library_every_command_says_how_to_make_one(tmp_path: Path, command: list[str]) -> None:
    done = typed(*command, store=tmp_path / "nothing.db")
    assert done.returncode == ExitCode.FAILED
    assert "stillholds init" in done.stderr
    assert not (tmp_path / "nothing.db").exists()


def test_an_address_of_another_kind_is_refused_in_words(tmp_path: Path) -> None:
    done = stillholds("init", "--store", "mysql://localhost/x", cwd=tmp_path)
    assert done.returncode == ExitCode.FAILED
    assert "use a path, sqlite:///PATH or postgresql://" in done.stderr


def test_some_refused_pages_give_their_own_exit_code(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "good.md").write_text("---\ntitle: A good note\n---\nIt says something.\n")
    (tmp_path / "pages" / "bad.md").write_text("---\ntitle: !!python/object:os.system x\n---\n")
    done = stillholds("import", tmp_path / "pages", "--json", store=tmp_path / "library.db")
    assert done.returncode == ExitCode.PARTLY
    said = json.loads(done.stdout)
    assert len(said["new"]) == len(said["refused"]) == 1
    assert "YAML tag" in said["refused"][0]["reason"]
    again = stillholds("import", tmp_path / "pages" / "bad.md", store=tmp_path / "library.db")
    assert again.returncode == ExitCode.FAILED


def test_verifiers_are_listed_with_what_they_do_not_say() -> None:
    *usable, refused = answer("verifiers", "list")
    assert [one["name"] for one in usable] == ["entropy_gap", "forking_share", "collapse_fit"]
    for one in usable:
        assert one["status"] == ("certified" if one["certificate"] else "uncertified")
        assert one["does_not_say"]
    assert refused["status"] == "refused"
    one = usable[0]
    assert answer("verifiers", "show", "entropy_gap") == one


def test_files_in_the_users_folder_are_never_imported(store: Path, tmp_path: Path) -> None:
    for name in ("verifiers", "streamlit", "torch", "claims", "kb", "typer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the user was run')\n")
    for command in (["claims"], ["search", "entropy"], ["measure", "entropy_gap", "--subject", "nonsense"]):
        done = stillholds(*command, store=store, cwd=tmp_path)
        assert "a file of the user" not in done.stderr + done.stdout


@pytest.mark.slow
def test_measure_gives_the_promised_shape(tmp_path: Path) -> None:
    arguments = ["measure", "collapse_fit", "--subject", "lab:bandit", "--seed", "7", "--profile", "smoke", "--json"]
    done = stillholds(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.keys() >= OUTCOME
    assert all(endpoint.keys() >= ENDPOINT for endpoint in said["endpoints"])
    assert [endpoint["primary"] for endpoint in said["endpoints"]].count(True) == 1
    assert {control["kind"] for control in said["controls"]} == {"positive", "negative"}
    assert all(control["passed"] is True for control in said["controls"])
    assert said["verdict"] == "INCONCLUSIVE"
    assert "pipeline" in said["reason"]
    assert said["certified"] is False
    assert not (tmp_path / "library.db").exists()


def test_four_runs_serve_the_example_library(tmp_path: Path) -> None:
    store = library.create(tmp_path / "library.db", NOW)
    library.bring_in(store, [EXAMPLES / "claims"], NOW)
    jobs = verification.plan(store, None, "standard", NOW)
    assert len({(job.verifier, job.subject) for job in jobs}) == len(jobs) == 4
    assert sum(len(job.claims) for job in jobs) == 18


@pytest.mark.usefixtures("trivial")
def test_claims_that_share_a_measurement_are_verified_by_one_run(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    asked = numbers()
    regions = {
        "loose": {"regions": {"holds": ">= 0.5", "refuted": "< 0.5"}},
        "close": {"regions": {"holds": ">= 0.9", "weakened": "0.6 .. 0.9", "refuted": "< 0.6"}},
        "never": {"regions": {"holds": "<= 0.1", "refuted": "> 0.1"}, "design_effect": 0.05},
    }
    named = set(regions)
    pages = [claim_page(tmp_path, name, asked | said) for name, said in regions.items()]
    assert stillholds("import", *pages, store=path).returncode == ExitCode.OK
    said = stillholds("verify", "--all", "--profile", "smoke", "--fail-on", "inconclusive", "--json", store=path)
    assert said.returncode == ExitCode.GATE, said.stderr
    outcomes = json.loads(said.stdout)
    assert {outcome["claim"] for outcome in outcomes} == named
    assert len({outcome["run"] for outcome in outcomes}) == 1
    assert "CPU-minutes" in said.stderr
    counts = answer("stats", store=path)
    assert (counts["runs"], counts["verdicts"]) == (1, 3)
    assert answer("audit", store=path)["problems"] == []
    one = json.loads(stillholds("verify", "close", "--profile", "smoke", "--json", store=path).stdout)
    assert one.keys() >= OUTCOME  # one claim that was named: its outcome itself, no list
    assert one["number"] == 2
    assert one["provenance"]["seed"] != outcomes[0]["provenance"]["seed"]  # fresh units every time


def started_verify(path: Path) -> subprocess.Popen[bytes]:
    """A verify that has written its run into the ledger."""
    command = [*INTERRUPTIBLE, "verify", "lower-on-own-text", "--store", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with sqlite3.connect(path) as connection:
            if connection.execute("SELECT count(*) FROM run").fetchone()[0]:
                return process
        time.sleep(0.1)
    process.kill()
    raise AssertionError("the run did not begin")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGINT, "cancelled"), (signal.SIGTERM, "cancelled")],
)
def test_a_run_that_is_stopped_is_an_error_and_never_a_verdict(
    tmp_path: Path, number: signal.Signals, reason: str
) -> None:
    from datetime import UTC, datetime

    path = tmp_path / "library.db"
    opened = library.create(path, datetime.now(UTC))
    library.bring_in(opened, [EXAMPLES / "claims"], datetime.now(UTC))
    process = started_verify(path)
    time.sleep(2)
    os.kill(process.pid, number)
    process.wait(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    claim = answer("show", "lower-on-own-text", store=path)
    assert [run["word"] for run in claim["runs"]] == ["ERROR"]
    assert reason in claim["runs"][0]["reason"]
    assert claim["standing"]["word"] == "UNTESTED"
    assert answer("audit", store=path)["problems"] == []
