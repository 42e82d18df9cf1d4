"""docs/write-your-own-verifier.md, followed word by word: its files written, its commands run, in an environment of its own."""

import json
import os
import re
import shlex
import site
import subprocess
import sys
from pathlib import Path

import pytest

from claims.goals import STANDARD
from tests.cli_support import NO_WEIGHTS

GUIDE = (Path(__file__).parent.parent / "docs" / "write-your-own-verifier.md").read_text(encoding="utf-8")
FILES = re.findall(r"\n`(\S+)`\n\n```\w+\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]
pytestmark = [pytest.mark.slow]

Said = dict[str, subprocess.CompletedProcess[str]]


class Reader:
    """Somebody with an environment of their own, in which Still Holds is installed and the guide's package is not yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = folder / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        (packages,) = environment.glob("lib/*/site-packages")
        ours = [path for path in sys.path if path.endswith("site-packages")] or site.getsitepackages()
        (packages / "ours.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in ours))
        for name, code in (
            ("stillholds", "from stillholds.cli import main; main()"),
            ("pip", "import runpy; runpy.run_module('pip', run_name='__main__')"),
        ):
            script = environment / "bin" / name
            script.write_text(f"#!{environment}/bin/python -P\n{code}\n")
            script.chmod(0o755)
        self._env = {
            name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}
        } | {
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "STILLHOLDS_STORE": str(folder / "library.db"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(NO_WEIGHTS),  # the guide asks for no search by meaning, and the model takes ten seconds to load
            # Without a network pip must take what is there; a reader's pip fetches the same.
            "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }  # fmt: skip
        for name, text in FILES:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def types(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one command line as it stands in the guide."""
        return subprocess.run(
            shlex.split(command),
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def answer(self, command: str) -> dict[str, object]:
        """What a command says as JSON."""
        done = self.types(f"{command} --json")
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def said(reader: Reader) -> Said:
    """What every command of the guide said, in its order, the certification left out."""
    return {command: reader.types(command) for command in COMMANDS if "certify" not in command}


def test_the_guide_has_its_files_and_commands() -> None:
    assert [name for name, _ in FILES] == [
        "repeats/pyproject.toml",
        "repeats/repeats/__init__.py",
        "repeats/repeats/record.py",
        "repeats/repeats/experiment.py",
        "library/claims/stale-cache.md",
    ]
    assert len(COMMANDS) == len(re.findall(r"^(?:pip|stillholds) ", GUIDE, re.MULTILINE)) == 12


def test_every_command_does_what_it_is_said_to_do(said: Said) -> None:
    failed = {command: done.stderr for command, done in said.items() if done.returncode != 0}
    assert failed == {}


def test_the_verifier_is_found_beside_those_of_the_house(said: Said) -> None:
    listed = said["stillholds verifiers list"].stdout
    assert re.search(r"^repeat_ratio +0\.1 +uncertified", listed, re.MULTILINE)
    assert re.search(r"^entropy_gap ", listed, re.MULTILINE)
    shown = said["stillholds verifiers show repeat_ratio"].stdout
    assert "the truth is 1.5: `stillholds measure repeat_ratio --subject repeats:planted-1.5`" in shown


def test_it_comes_out_both_ways(said: Said) -> None:
    for subject, word in (("stale", "Holds"), ("fair", "Refuted"), ("planted-1.34", "Weakened, smaller")):
        found = said[f"stillholds measure repeat_ratio --subject repeats:{subject} --seed 1"].stdout
        assert f"{word}, uncertified" in found


def test_what_was_planted_is_found_exactly_and_every_break_is_caught(reader: Reader) -> None:
    script = (
        "from repeats.experiment import *\n"
        "model = np.arange(1, 17) / 136\n"
        "chance = np.random.default_rng(5)\n"
        "print([log_ratio(write(model, 60_000, ratio, 0.0, chance), model, None) - math.log(ratio) for ratio in (0.5, 1, 3)])\n"
        "breaks = [None, *REPEAT_RATIO.trial.breaks]\n"
        "print([all(one.passed for one in ask_for_known_answers(chance, broken)) for broken in breaks])\n"
    )
    (reader.folder / "try.py").write_text(script)
    reader.types("pip install --editable repeats")
    off, caught = reader.types("python try.py").stdout.splitlines()
    assert max(map(abs, json.loads(off))) < 0.015  # 3 standard errors of the rarest count
    assert caught == "[True, False, False, False]"


def test_the_claim_is_tested_with_it(reader: Reader, said: Said) -> None:
    assert "Holds" in said["stillholds verify stale-cache"].stdout
    found = reader.answer("stillholds show stale-cache")
    assert found["contract"]["verifier"] == "repeat_ratio"
    assert found["runs"][0]["word"] == "HOLDS"
    assert found["runs"][0]["differences"] == []


def test_it_is_certified(reader: Reader, said: Said) -> None:
    done = reader.types("stillholds certify repeat_ratio")
    assert done.returncode == 0, done.stderr
    assert (reader.folder / "repeats/repeats/certificates/repeat_ratio.json").is_file()
    shown = reader.answer("stillholds verifiers show repeat_ratio")
    assert shown["status"] == "certified"
    certificate: dict[str, dict[str, int]] = shown["certificate"]
    assert certificate["end_to_end"]["as_planted"] == certificate["end_to_end"]["n"] == 2 * STANDARD.complete
    for level in ("false_holds", "false_refuted", "power", "coverage"):
        assert {"rate", "count", "n", "bound"} == set(certificate[level])
    found = reader.types("stillholds measure repeat_ratio --subject repeats:stale --seed 1").stdout
    assert "uncertified" not in found
