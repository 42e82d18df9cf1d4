"""A folder for each run, gone when the run is: made here, removed by the run's keeper and by whoever made it, and swept
away later if both were killed. Its name marks all processes of the run.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

MARK = "STILLHOLDS_RUN"  # in the environment of all that a run starts, with a value of its own
BEGINS = "stillholds-run-"  # the name of a scratch folder
ROUNDS = 20  # of looking for processes that go on multiplying while they are being ended


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder in the system's temporary one, for this user alone. It lies there and not in the cache folder
    because sockets may be made in it, whose paths must be short.
    """
    folder, hold = _new()
    try:
        yield folder
    finally:
        remove(folder)
        os.close(hold)


def sweep_scratch() -> int:
    """Remove the folders of runs whose worker and keeper were both killed, end what is left of these runs, and say how
    many there were.
    """
    swept = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{BEGINS}*"):
        with contextlib.suppress(OSError):  # no folder of this user, or gone by now
            hold = _opened(folder)
            try:
                if folder.stat().st_uid == os.getuid() and _locked(hold):
                    end_marked(str(folder))
                    remove(folder)
                    swept += 1
            finally:
                os.close(hold)
    return swept


def end_marked(mark: str) -> None:
    """Kill every process that carries MARK, and those that these start while they are being killed."""
    for _ in range(ROUNDS):
        carrying = [process for process in map(_process, psutil.pids()) if process and _carries(process, mark)]
        if not carrying:
            return
        for process in carrying:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(carrying, timeout=1)


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid)
    return None


def _carries(process: psutil.Process, mark: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    return False


def _new() -> tuple[Path, int]:
    """A folder and the open file that locks it, which the system unlocks when this process ends in whatever way: so there
    is no question of clocks, or of process numbers that come round again.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=BEGINS))
        with contextlib.suppress(FileNotFoundError):
            hold = _opened(folder)
            if _locked(hold) is not False and folder.exists():
                return folder, hold
            os.close(hold)  # somebody swept it away before it was locked


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _locked(hold: int) -> bool | None:
    """Whether the folder could be locked; None where the file system knows no locks, and so no sweeping."""
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def remove(folder: Path) -> None:
    """Remove FOLDER, also if there are folders in it that nobody may enter."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    folder.chmod(0o700)
    for path, inside, _ in os.walk(folder):  # a folder is opened here before it is walked into
        for one in (Path(path) / name for name in inside if not (Path(path) / name).is_symlink()):
            with contextlib.suppress(OSError):
                one.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
