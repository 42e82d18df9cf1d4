"""The reader of training logs: what it reads, what it says of it, and all that it refuses."""

import json
import math
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claims import measuring
from claims.contract import contract_from
from claims.errors import BadContract
from stillholds import options
from stillholds.cli import ExitCode
from tests.cli_support import ROOT, answer, stillholds
from verifiers.measurement import SubjectRef
from verifiers.registry import BadParameters, UnknownSubject, find, find_subject
from verifiers.subjects import reading, runlog
from verifiers.subjects.files import LARGEST
from verifiers.subjects.runlog import Runlog
from verifiers.subjects.tables import BadLog

LOGS = ROOT / "examples" / "logs"
DATA = Path(__file__).parent / "data" / "runlogs"
HEADER = "step,entropy,val_accuracy\n"
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file and give its path as a locator."""

    def written(text: str | bytes, name: str = "log.csv") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return written


def rows(*values: Sequence[object]) -> str:
    return HEADER + "".join(",".join("" if cell is None else str(cell) for cell in row) + "\n" for row in values)


def read(locator: str, **columns: str) -> Runlog:
    return runlog.read(locator, columns)


# --- what is read ----------------------------------------------------------------------------------------------------


def test_a_file_is_a_run_in_nats_and_shares(write: Write) -> None:
    (run,) = read(write(rows((0, 1.5, 0.1), (10, 0.5, 0.4)), "seed-7.csv")).runs
    assert (run.name, run.arm) == ("seed-7", "")
    assert (run.step, run.entropy, run.score) == ((0.0, 10.0), (1.5, 0.5), (0.1, 0.4))


def test_bits_and_percent_become_nats_and_shares(write: Write) -> None:
    where = write(rows((0, 2, 40), (1, 1, 50)))
    (run,) = read(where, entropy_unit="bits", score_unit="percent").runs
    assert run.entropy == pytest.approx((2 * math.log(2), math.log(2)))
    assert run.score == pytest.approx((0.4, 0.5))


def test_a_column_of_runs_and_one_of_arms() -> None:
    found = read(str(DATA / "side-by-side.csv"))
    assert [(run.name, run.arm, len(run.step)) for run in found.runs] == [
        ("seed-0", "", 12),
        ("seed-1", "", 12),
        ("seed-2", "kl", 12),
        ("seed-3", "", 12),
    ]
    assert found.said["runs"][2] == {"name": "seed-2", "arm": "kl", "points": 12}


def test_rows_of_runs_may_lie_between_each_other(write: Write) -> None:
    text = "run,step,H,R\n" + "".join(
        f"{run},{step},{1 - step / 9},{run / 10}\n" for step in range(3) for run in (1, 2)
    )
    assert [(run.name, run.step) for run in read(write(text)).runs] == [("1", (0, 1, 2)), ("2", (0, 1, 2))]


def test_rows_of_one_step_complete_each_other() -> None:
    (run,) = read(str(DATA / "every-step.jsonl")).runs
    assert run.step == tuple(range(0, 41, 4))
    assert run.entropy[1] == pytest.approx(1.2 * math.exp(-4 / 9) + 0.08, abs=1e-4)


def test_names_with_folders_are_read_as_asked() -> None:
    asked = {"step": "training/global_step", "entropy": "actor/entropy", "score": "val-core/math/acc/mean@8"}
    found = read(str(DATA / "folders.jsonl"), **asked)
    assert found.runs[0].step == tuple(range(5, 41, 5))
    assert found.said["files"][0]["columns"] == asked


def test_a_score_between_entropies_takes_the_one_before_within_their_usual_distance(write: Write) -> None:
    text = rows(
        (0, None, 0.1),
        (10, 1.0, None),
        (20, 0.8, None),
        (25, None, 0.3),
        (30, 0.6, None),
        (40, None, 0.4),
        (41, None, 0.5),
    )
    found = read(write(text))
    assert (found.runs[0].step, found.runs[0].entropy) == ((25.0, 40.0), (0.8, 0.6))
    assert (
        "2 scores without an entropy at the same step stand beside the one logged last before."
        in found.said["sentences"]
    )
    assert (
        "2 scores without an entropy of their own at or just before the step are left out." in found.said["sentences"]
    )


def test_one_entropy_is_one_point_however_many_scores_follow_it(write: Write) -> None:
    text = rows((0, 1.0, 0.1), (1, None, 0.2), (2, None, 0.3), (10, 0.8, None), (11, None, 0.4), (12, None, 0.5))
    (run,) = read(write(text)).runs
    assert (run.step, run.entropy, run.score) == ((0.0, 11.0), (1.0, 0.8), (0.1, 0.4))


def test_files_and_patterns_side_by_side(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (2, 1, 3):
        write(rows((0, seed, 0.1), (1, 0.5, 0.2)), f"seed-{seed}.csv")
    write('{"step": 0, "H": 1, "R": 0.5}\n{"step": 1, "H": 0.5, "R": 0.6}\n', "other.jsonl")
    monkeypatch.chdir(tmp_path)
    assert [run.name for run in read("seed-*.csv,other.jsonl").runs] == ["seed-1", "seed-2", "seed-3", "other"]


def test_files_of_one_name_are_called_by_their_folders(write: Write, tmp_path: Path) -> None:
    for seed in (1, 2):
        write(rows((0, seed, 0.1), (1, 0.5, 0.2)), f"seed-{seed}/metrics.csv")
    assert [run.name for run in read(f"{tmp_path}/*/metrics.csv").runs] == ["seed-1/metrics", "seed-2/metrics"]


def test_a_name_with_a_comma_or_a_bracket_is_one_file(write: Write) -> None:
    assert read(write(rows((0, 1, 0.1), (1, 0.5, 0.2)), "a,b[1].csv")).runs[0].name == "a,b[1]"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_part_columns_too(write: Write, delimiter: str) -> None:
    (run,) = read(write(rows((0, 1.5, 0.1), (1, 0.5, 0.4)).replace(",", delimiter))).runs
    assert run.entropy == (1.5, 0.5)


def test_a_byte_order_mark_quotes_blanks_and_blank_lines_do_no_harm(write: Write) -> None:
    text = '\ufeff"step", "entropy",val_accuracy,note\r\n0, 1.5 ,.1,"a, b"\r\n\r\n1,5e-1,0.4,\r\n'
    (run,) = read(write(text)).runs
    assert (run.entropy, run.score) == ((1.5, 0.5), (0.1, 0.4))


def test_it_says_what_was_read_from_where_in_which_unit(write: Write) -> None:
    where = write("step,H,R\n0,1,0.1\n1,0.5,0.2\n")
    said = read(where, entropy_unit="bits").said
    assert said["sentences"] == [
        "1 run with 2 points in 1 file.",
        "Step: column 'step'.",
        "Entropy: column 'H', in bits a token.",
        "Score: column 'R', as a share of 1.",
        "Nothing in its name says of the score that it is of a validation: it is taken for one.",
    ]
    import hashlib

    assert said["files"][0]["sha256"] == hashlib.sha256(Path(where).read_bytes()).hexdigest()
    json.dumps(said)


def test_reading_looks_at_logs_and_at_nothing_else(write: Write) -> None:
    said = reading(SubjectRef(scheme="runlog", locator=write(rows((0, 1, 0.1), (1, 0.5, 0.2)))), {})
    assert said is not None
    assert said["runs"] == [{"name": "log", "arm": "", "points": 2}]
    assert reading(SubjectRef.parse("lab:collapse"), {}) is None


# --- what is refused -------------------------------------------------------------------------------------------------

GOOD = rows((0, 1.0, 0.1), (1, 0.8, 0.2), (2, 0.6, 0.3))
REFUSED = {
    "no score": ("step,entropy,accuracy\n0,1,0.1\n", "log.csv has no column 'val_accuracy' or 'R' or 'reward'"),
    "no entropy": ("step,loss,R\n0,1,0.1\n", "has no column 'entropy' or 'H'"),
    "two entropies": ("step,entropy,H,R\n0,1,1,0.1\n", "has 'entropy' and 'H': say which is the entropy"),
    "two scores": ("step,H,val_accuracy,reward\n0,1,1,0.1\n", "'val_accuracy' and 'reward': say which is the score"),
    "nan": (rows((0, 1, 0.1), (1, "nan", 0.2)), "log.csv, line 3, column 'entropy': a number must stand here, not 'nan'"),
    "infinity": (rows((0, 1, 0.1), (1, "inf", 0.2)), "line 3, column 'entropy'"),
    "overflow": (rows((0, 1, 0.1), (1, "1e999", 0.2)), "line 3, column 'entropy': inf is no measurement"),
    "text": (rows((0, 1, 0.1), (1, 0.5, "n/a")), "line 3, column 'val_accuracy': a number must stand here, not 'n/a'"),
    "no step": (rows((0, 1, 0.1), (None, 0.5, 0.2)), "line 3, column 'step': a number must stand here, not nothing"),
    "underscores": (rows(("1_000", 1, 0.1)), "line 2, column 'step'"),
    "negative entropy": (rows((0, -0.1, 0.1)), "line 2, column 'entropy': an entropy is never negative"),
    "a sum over tokens": (rows((0, 300, 0.1)), "more than any vocabulary allows"),
    "percent unsaid": (rows((0, 1, 41.5)), "column 'val_accuracy': a score lies from 0 to 1; say --unit score=percent"),
    "negative score": (rows((0, 1, -0.5)), "a score lies from 0 to 1; rescale"),
    "two runs in one file": (GOOD + GOOD[len(HEADER) :], "line 5, column 'step': the steps begin anew at 0 after 2"),
    "steps go back": (rows((0, 1, 0.1), (1, 0.9, 0.2), (2, 0.8, 0.3), (1, 0.7, 0.4)), "line 5, column 'step': the steps go back"),
    "a step twice": (rows((0, 1, 0.1), (1, 0.9, 0.2), (1, 0.8, 0.3)), "line 4, column 'entropy': step 1 has a value already"),
    "no end of line": (GOOD[:-1], "the last line has no end"),
    "a ragged last row": (GOOD + "3,0.5\n", "line 5: 2 values under 3 columns (with commas between them); is the file still"),
    "an open quote": (GOOD + '3,"0.5,0.2\n', "line 5"),
    "decimal commas": ("step;entropy;R\n0;1,5;0,1\n", "line 2, column 'entropy': a number must stand here, not '1,5'; write decimals"),
    "a name for nothing twice": ("step,entropy,,\n0,1,,\n", "log.csv has no column 'val_accuracy'"),
    "one column twice": ("step,entropy,R,R\n0,1,0.1,0.1\n", "line 1: there is more than one column 'R'"),
    "only a header": (HEADER, "has no row with an entropy or a score"),
    "no scores": (rows((0, 1, None), (1, 0.5, None)), "no row has a value for the score"),
    "scores far from entropies": (rows((0, 1, None), (1, 0.9, None), (50, None, 0.1)), "no score stands at or just after"),
    "no content": ("\n \n", "log.csv is empty"),
    "utf-16": (GOOD.encode("utf-16"), "is in UTF-16: save it as UTF-8"),
    "latin-1": (GOOD.encode() + b"3,0.5,\xe9\n", "line 5: this is not UTF-8"),
    "binary": (b"\x80\x04\x95\0\0\0", "is not text"),
    "a zip": (b"PK\x03\x04\xff\xfe\xfd", "this is not UTF-8"),
    "a run without a name": ("run,step,H,R\n,0,1,0.1\n", "line 2, column 'run': a name must stand here"),
    "an escape in a name": ("run,step,H,R\n\x1b[31m,0,1,0.1\n", "line 2, column 'run': a name must stand here, not '\\x1b"),
    "an arm that changes": ("arm,step,H,R\nkl,0,1,0.1\nclip,1,1,0.1\n", "line 3, column 'arm': the run began in arm 'kl'"),
    "a JSON list": ('[{"step": 0}]', "is one JSON list: write one object a line"),
    "half a JSON object": ('{"step": 0, "H": 1, "R": 0.1}\n{"step": 1, "H"', "line 2: no whole JSON object stands here"),
    "a JSON document": ('{\n  "log_history": [\n  ]\n}\n', "line 1: no whole JSON object stands here"),
    "JSON that is no object": ('{"step": 0, "H": 1, "R": 0.1}\n7\n', "line 2: one JSON object a line is read, not 7"),
    "a JSON key twice": ('{"step": 0, "H": 1, "H": 2, "R": 0.1}\n', "a key stands in it twice"),
    "a JSON NaN": ('{"step": 0, "H": NaN, "R": 0.1}\n', "line 1, column 'H': nan is no measurement"),
    "a JSON truth": ('{"step": 0, "H": true, "R": 0.1}\n', "line 1, column 'H': a number must stand here, not True"),
    "a JSON object in a cell": ('{"step": 0, "H": {"mean": 1}, "R": 0.1}\n', "line 1, column 'H': a number must stand here"),
    "a huge JSON number": ('{"step": 0, "H": 1' + "0" * 400 + ', "R": 0.1}\n', "line 1, column 'H': inf is no measurement"),
    "deep JSON": ("{" + '"a":[' * 100_000, "line 1: "),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_place_and_advice(write: Write, what: str) -> None:
    content, said = REFUSED[what]
    with pytest.raises(BadLog) as refused:
        read(write(content))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "name", ["train_reward", "rollout/reward", "critic/rewards/mean", "batchReward", "rewards/accuracy"]
)
def test_a_reward_that_its_name_gives_to_training_is_refused_even_when_asked_for(write: Write, name: str) -> None:
    where = write(HEADER.replace("val_accuracy", name) + "0,1,0.1\n1,0.5,0.2\n")
    with pytest.raises(BadLog, match="the reward of the training batches"):
        read(where, score=name)


@pytest.mark.parametrize(
    "sign", ["reward_std", "loss", "kl", "completion_length", "num_tokens", "rewards/format", "actor/pg_loss"]
)
def test_a_plain_reward_beside_what_only_trainers_log_is_refused(write: Write, sign: str) -> None:
    where = write(f"step,entropy,reward,{sign}\n0,1,0.1,3\n1,0.5,0.2,3\n")
    with pytest.raises(BadLog, match=f"'reward' stands beside '{sign}'"):
        read(where)


def test_a_trainers_history_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadLog, match="call it val_reward in the file"):
        read(str(DATA / "grpo-trainer.jsonl"))


@pytest.mark.parametrize("name", ["val_reward", "eval/rewards/accuracy", "test_batch/acc", "validation/reward"])
def test_what_is_named_a_validation_is_read_beside_a_trainers_columns(write: Write, name: str) -> None:
    where = write(f"step,entropy,loss,{name}\n0,1,2,0.1\n1,0.5,2,0.2\n")
    assert read(where, score=name).runs[0].score == (0.1, 0.2)


def test_a_score_with_another_name_is_taken_at_the_users_word_and_that_is_said(write: Write) -> None:
    found = read(write("step,entropy,loss,solved\n0,1,2,0.1\n1,0.5,2,0.2\n"), score="solved")
    assert (
        "Nothing in its name says of the score that it is of a validation: it is taken for one."
        in found.said["sentences"]
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"entropie": "H"}, "a log has no 'entropie'"),
        ({"entropy_unit": "hartley"}, "'hartley' is no unit of entropy: there is nats and bits"),
        ({"step_unit": "k"}, "a log has no 'step_unit'"),
        ({"entropy": "actor/entropy"}, "has no column 'actor/entropy'; it has 'step', 'entropy', 'val_accuracy'"),
        ({"score": "entropy"}, "the column 'entropy' cannot be the entropy and the score"),
    ],
)
def test_wrong_columns_and_units_are_refused(write: Write, columns: dict[str, str], said: str) -> None:
    with pytest.raises(BadLog) as refused:
        read(write(GOOD), **columns)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("locator", "said"),
    [
        ("gone.csv", "there is no file gone.csv"),
        ("*.jsonl", r"no file matches \*.jsonl"),
        ("", "names no log"),
        (" , ", "names no log"),
        (".", "is a folder"),
        ("a.csv,./a.csv", "is named twice"),
        ("a.csv,*.csv", "is named twice"),
        ("a.csv,copy.csv", "copy.csv has the same content as a.csv"),
        ("a.csv,longer.csv", "the runs 'a' and 'longer' have the same first 3 points"),
        ("run-x.csv,more/run-x.csv", "two files have a run called 'x'"),
    ],
)
def test_wrong_files_are_refused(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locator: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(GOOD, "a.csv")
    if "copy" in locator or "longer" in locator:
        write(GOOD, "copy.csv")
        write(GOOD.replace("\n0,", "\n0.0,") + "3,0.5,0.4\n", "longer.csv")
    write("run,step,H,R\nx,0,1,0.1\nx,1,1,0.2\n", "run-x.csv" if "run-x" in locator else "run-x.txt")
    write("run,step,H,R\nx,0,1,0.3\nx,1,1,0.2\n", "more/run-x.csv")
    with pytest.raises(BadLog, match=said):
        read(locator)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)  # a hole, which takes no room
    with pytest.raises(BadLog, match="is larger than 50,000,000 bytes"):
        read(str(path))


def test_too_many_runs_are_refused(write: Write) -> None:
    text = "run,step,H,R\n" + "".join(f"{run},0,1,0.1\n" for run in range(2_001))
    with pytest.raises(BadLog, match="more than 2000 runs: is 'run' the column"):
        read(write(text))


def test_too_many_rows_are_refused(write: Write) -> None:
    for text in ("step,H,R\n" + "\n".join(["1,1,1"] * 200_001), '{"H": 1}\n' * 200_001):
        with pytest.raises(BadLog, match="more than 200,000 rows"):
            read(write(text))


def test_a_list_of_files_may_be_longer_than_a_name_may_be(write: Write) -> None:
    found = [write(rows((0, 1 + seed / 100, 0.1), (1, 0.5, 0.2)), f"{seed:0120d}.csv") for seed in range(9)]
    assert len(read(",".join(found)).runs) == 9


def test_nothing_in_a_log_is_executed(write: Write, tmp_path: Path) -> None:
    trap = f"=__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()"
    with pytest.raises(BadLog, match="a number must stand here"):
        read(write(rows((0, 1, 0.1), (1, f'"{trap}"', 0.2))))
    assert not (tmp_path / "ran").exists()


PIECES = [
    *'0 1 -1 0.5 nan 1e400 , ; " { } [ ] : é step entropy R run arm'.split(),
    *("", "\t", "\n", "\r\n", "\ufeff", "\0", "\ud800"),
    *("step,entropy,R\n", "0,1,0.1\n", "1,0.9,0.2\n", '{"step": 1, "H": 0.5, "R": 0.1}\n'),
]


@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=40),
    begun=st.sampled_from(["", "step,entropy,R\n0,1,0.1\n", "run,step,H,R\n"]),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_it_is_read_whole_or_refused(tmp_path: Path, begun: str, pieces: list[str]) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes((begun + "".join(pieces)).encode("utf-8", "surrogatepass"))
    try:
        found = read(str(path))
    except BadLog:
        return
    for run in found.runs:
        assert len(run.step) == len(run.entropy) == len(run.score) > 0
        assert all(earlier < later for earlier, later in zip(run.step, run.step[1:], strict=False))
        assert all(math.isfinite(value) and value >= 0 for value in run.entropy)
        assert all(0 <= value <= 1 for value in run.score)


# --- from a log to a verdict -----------------------------------------------------------------------------------------


def test_a_log_is_measured_by_verifiers_that_say_so_and_named_by_no_contract() -> None:
    subject = f"runlog:{LOGS}/drifts.csv"
    job, contract = measuring.plan("collapse_fit", subject, "standard")
    assert (job.subject, contract.subjects) == (subject, (subject,))
    facts = find_subject(SubjectRef.parse(subject), find("collapse_fit"))
    assert (facts.parameters, facts.stage) == (0, "not known")
    with pytest.raises(UnknownSubject):
        measuring.plan("entropy_gap", subject, "standard")
    with pytest.raises(BadContract, match="log"):
        contract_from({**find("collapse_fit").default_contract, "verifier": "collapse_fit", "subjects": [subject]})


def test_columns_of_what_is_no_log_are_refused() -> None:
    assert measuring.reading("lab:bandit", {}) is None
    with pytest.raises(BadParameters, match="lab:bandit is none"):
        measuring.reading("lab:bandit", {"entropy": "H"})


def test_the_command_measures_a_log_and_says_what_it_read() -> None:
    found = answer("measure", "collapse_fit", "--subject", f"runlog:{LOGS}/obeys/*.csv", "--seed", "7")
    assert (found["verdict"], found["endpoints"][0]["n"]) == ("HOLDS", 8)
    assert [len(file["sha256"]) for file in found["read"]["files"]] == [64] * 8
    assert found["read"]["units"] == {"entropy": "nats", "score": "share"}


def test_the_command_takes_columns_and_units_and_every_run_whatever_the_contract_draws(tmp_path: Path) -> None:
    lines = ["seed,step,entropy_bits,val_percent"]
    for path in sorted((LOGS / "obeys").glob("*.csv")):
        table = [line.split(",") for line in path.read_text().splitlines()[1:]]
        for copy in range(2):  # every other validation each: 16 runs that differ
            lines += [
                f"{path.stem}-{copy},{step},{float(entropy) / math.log(2):.6f},{100 * float(score):.2f}"
                for step, entropy, score in table
                if score and int(step) % 8 == 4 * copy
            ]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    named = ["--column", "run=seed", "--column", "entropy=entropy_bits", "--column", "score=val_percent"]
    units = ["--unit", "entropy=bits", "--unit", "score=percent"]
    found = answer("measure", "collapse_fit", "--subject", f"runlog:{tmp_path}/log.csv", *named, *units)
    assert (found["verdict"], found["endpoints"][0]["n"]) == ("HOLDS", 16)


def test_the_command_starts_nothing_for_a_log_that_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(GOOD[:-1])
    done = stillholds("measure", "collapse_fit", "--subject", "runlog:log.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (ExitCode.FAILED, "")
    assert done.stderr.startswith("stillholds: log.csv: the last line has no end")


def test_options_name_columns_and_units() -> None:
    assert options.columns(["entropy = H", "run=seed"], ["entropy=bits"]) == {
        "entropy": "H",
        "run": "seed",
        "entropy_unit": "bits",
    }
    for wrong in ("entropy", "entropy=", "=bits"):
        with pytest.raises(typer.BadParameter, match="is no WHAT=NAME"):
            options.columns([wrong], [])
    with pytest.raises(typer.BadParameter, match="'entropy' is said twice"):
        options.columns([], ["entropy=bits", "entropy=nats"])


@pytest.mark.slow
def test_what_the_document_shows_is_what_comes_out() -> None:
    text = (ROOT / "docs" / "does-your-run-obey-the-collapse-law.md").read_text()
    shown = re.findall(r"```console\n\$ stillholds (.*?)\n(.*?)```", text, re.DOTALL)
    assert len(shown) == 3
    for command, said in shown:
        done = stillholds(*shlex.split(command), cwd=ROOT, COLUMNS="120")
        out = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
        missing = [line for line in said.splitlines() if line.strip() not in {"", "…"} and line.rstrip() not in out]
        assert missing == [], command
