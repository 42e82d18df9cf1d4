"""The inbox on the command line, end to end."""

from pathlib import Path

import pytest

from kb.store import Store
from tests.cli_support import answer, typed
from tests.inbox_support import an_inbox, row_of
from tests.kb_support import write


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_inbox(tmp_path_factory.mktemp("made")).path


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return write(tmp_path / "library.db", made.read_bytes())


def test_from_what_waits_to_a_due_claim_and_back(store: Path) -> None:
    (group,) = answer("triage", store=store)
    assert group["claim"]["slug"] == "the-gap"
    assert [item["paper"]["arxiv"] for item in group["items"]] == ["2611.00001", "2611.00002", "2611.00003"]
    assert group["items"][0]["bearing"]

    done = typed("triage", "attach", "the-gap", "2611.00001", "--as", "contradicts", "--who", "ada", store=store)
    assert done.returncode == 0, done.stderr
    assert "the-gap is DUE: a paper contradicts it (arXiv:2611.00001v1), by ada" in done.stdout
    assert "Does the gap last?" in done.stdout
    assert row_of(Store(store), "the-gap", "2611.00001").state == "attached"
    history = typed("history", "the-gap", store=store).stdout
    assert "attached, contradicts" in history

    (undone,) = answer("triage", "undo", "the-gap", "--who", "ada", store=store)
    assert (undone["kind"], undone["arxiv"]) == ("undone", "2611.00001")
    (dismissed,) = answer(
        "triage", "dismiss", "the-gap", "2611.00001", "--reason", "another thing", "--who", "ada", store=store
    )
    assert dismissed["kind"] == "dismissed"
    assert typed("audit", store=store).returncode == 0


def test_what_waits_is_told_to_people(store: Path) -> None:
    said = typed("triage", "--limit", "2", store=store).stdout
    for part in (
        "the-gap in words",
        "On 2611.00001",
        "contradicts (80 % sure)",
        "subject 0.90",
        "“Entropy fell",
        "1 more",
    ):
        assert part in said
    assert "Nothing waits" in typed("triage", "--claim", "spoken", store=store).stdout
    came = typed("papers", store=store).stdout
    assert came.index("2611.00003v1") < came.index("2611.00001v1")
    assert "in the inbox of the-gap" in came
    assert len(answer("papers", "--new", "--limit", "2", store=store)) == 2


@pytest.mark.parametrize(
    ("command", "said", "code"),
    [
        (("attach", "the-gap", "2611.00001", "--as", "likes"), "nothing that a paper can be", 2),
        (("dismiss", "the-gap", "2611.00001", "--reason", " "), "a reason is missing", 1),
        (("snooze", "the-gpa", "2611.00001", "--days", "3"), "no claim has the slug", 1),
    ],
)
def test_what_cannot_be_done_is_said_in_words(store: Path, command: tuple[str, ...], said: str, code: int) -> None:
    done = typed("triage", *command, store=store)
    assert (done.returncode, said in " ".join(done.stderr.replace("│", " ").split())) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
