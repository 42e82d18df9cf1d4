"""Starts a run's process and keeps it: `python -I -S _launch.py LEASH CPU_SECONDS SCRATCH COMMAND …`, run as a file.

What the worker starts is this keeper, and the keeper starts COMMAND. It ends as COMMAND does, once that and every
process that came from it is gone, and the folder SCRATCH (empty: none) with them. LEASH is the number of a pipe that the
worker holds open: when that ends, because the worker is done with the run or has itself been killed, the keeper kills
them all. On Linux it adopts what loses its parent, so that no process gets away by a session of its own or by forking
twice, and COMMAND ends when the keeper is killed. Elsewhere only the process group is known, and killed.

Between worker and experiment there has to be somebody. Only a process that is not the experiment can see it to its end
when the worker is gone. The kernel's own death signal reaches one process and not what that started; and it comes when
the *thread* ends that started it, which is no matter here, where there is one. Limits set by `preexec_fn` may hang a
program with threads.

It stands between a run and its start, so it imports little: contextlib, pathlib, signal and typing would take three times
as long as all that is here.
"""

import _thread
import ctypes
import errno
import os
import resource
import sys

# ruff: noqa: PTH106, PTH123, PTH208, SIM105

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36  # <linux/prctl.h>
SIGKILL = 9
GRACE = 10  # seconds of processor time between SIGXCPU and SIGKILL
MAY_PASS = {errno.EAGAIN, errno.ENOMEM, errno.ENFILE}  # no more processes, memory or files now


def main() -> None:
    """Start what the command line names, and see it to its end."""
    leash, cpu_seconds, scratch, *command = sys.argv[1:]
    os.set_inheritable(int(leash), False)  # noqa: FBT003 - it takes no names
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    try:
        child = os.fork()
    except OSError as error:
        _say(error, "no process could be started for the experiment")
        os._exit(1)
    if child == 0:
        _become(command, float(cpu_seconds), keeper)
    _close()
    let_go: list[bool] = []
    _thread.start_new_thread(_kill_when_let_go, (int(leash), child, let_go))
    status = _status_of(child)
    _end_all(child)
    _remove(scratch)
    _end_like(0 if let_go else status)  # nobody asks any more; and a worker that is there looks twice at one killed


def _become(command: list[str], cpu_seconds: float, keeper: int) -> None:
    """Turn this process, just forked, into COMMAND."""
    try:
        os.setsid()  # a group of its own, which can be killed in one go
        _prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)  # the keeper was killed before the line above
        _limit(resource.RLIMIT_CORE, 0, 0)
        if cpu_seconds:
            _limit(resource.RLIMIT_CPU, int(cpu_seconds) + 1, int(cpu_seconds) + 1 + GRACE)
        os.execvp(command[0], command)
    except OSError as error:
        _say(error, f"{command[0]} could not be started")
    finally:
        os._exit(1)


def _limit(what: int, soft: int, hard: int) -> None:
    """Set a limit, or leave the one there is where it is lower."""
    _, highest = resource.getrlimit(what)
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    try:
        resource.setrlimit(what, (soft, hard))
    except (ValueError, OSError):
        pass


def _prctl(option: int, value: int) -> None:
    """Ask the kernel for something that only Linux has."""
    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (AttributeError, OSError):
        pass


def _close() -> None:
    """Hold no pipe and no folder of the child: nobody would see that it closes the one, or could remove the other."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.chdir("/")


def _kill_when_let_go(leash: int, child: int, let_go: list[bool]) -> None:
    os.read(leash, 1)  # nobody ever writes to it: this is its end
    let_go.append(True)
    try:
        os.kill(child, SIGKILL)  # and the rest when that has ended; it may not have a group of its own yet
    except OSError:
        pass


def _status_of(child: int) -> int:
    """How CHILD ended; whoever was adopted and ends before it is taken off the table of processes."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def _end_all(group: int) -> None:
    """Kill the group at one blow, and then whoever had left it, each with its own group: they become children of this
    process as their parents die, if they are not yet. By groups, because one that forks and ends, and so on, is never
    met by its number.
    """
    _kill_group(group)
    try:
        while True:
            for pid in _children():
                _kill(pid)
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _kill(pid: int) -> None:
    try:
        _kill_group(os.getpgid(pid))  # never this one's: nobody can join a group of another session
        os.kill(pid, SIGKILL)
    except OSError:
        pass


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, SIGKILL)
    except OSError:
        pass


def _children() -> list[int]:
    """The children of this process, where the system lists them."""
    own = os.getpid()
    try:
        return [int(pid) for pid in _read(f"/proc/{own}/task/{own}/children").split()]
    except OSError:  # a kernel without that list
        return [pid for pid in _processes() if _parent(pid) == own]


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []


def _parent(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _remove(scratch: str) -> None:
    if not scratch:
        return
    try:
        os.rmdir(scratch)
    except OSError:  # not empty
        import shutil

        shutil.rmtree(scratch, ignore_errors=True)


def _end_like(status: int) -> None:
    """End as the child did, by its code or by the signal that killed it, but without a dump of this process."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        _prctl(PR_SET_DUMPABLE, 0)
        ctypes.CDLL(None).signal(-code, None)  # Python ignores some, and handles others
        os.kill(os.getpid(), -code)
    os._exit(abs(code))


def _say(error: OSError, what: str) -> None:
    """Tell the worker as a child would: one Failure, as JSON."""
    import json

    cause = "lost" if error.errno in MAY_PASS else "failed"
    said = {"event": "failure", "cause": cause, "reason": f"{what}: {error.strerror}"}
    os.write(1, json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    main()
