"""What a run would be made by now: the code of its verifier, and the environment."""

import platform
from functools import lru_cache

from claims import ledger
from claims.freshness import Because
from verifiers import provenance
from verifiers.measurement import Provenance
from verifiers.registry import find, verifiers


def code_of(name: str) -> str:
    """The digest of what the verifier of that name would run now.

    Raises:
        VerifierError: when there is no such verifier.
    """
    return provenance.code_digest(find(name))


@lru_cache(maxsize=1)
def environment() -> str:
    """The digest of where a run would be made now, on the processor. It stays while this process does: what is
    installed beside it is not what it has loaded.
    """
    return digest_of_environment(
        provenance.packages(), platform.python_version(), provenance.machine(), "cpu", provenance.threads()
    )


def environment_of(origin: Provenance) -> str:
    """The digest of where a measurement was made."""
    return digest_of_environment(
        origin.packages, origin.python, origin.platform, origin.device, origin.threads_per_process
    )


def digest_of_environment(packages: dict[str, str], python: str, platform: str, device: str, threads: int) -> str:
    """The digest of what may change the bits of a result beside the code: versions, machine, device, threads."""
    versions = {name: version for name, version in packages.items() if name != "stillholds"}
    return ledger.digest_of(
        {"packages": versions, "python": python, "platform": platform, "device": device, "threads": threads}
    )


def changes(verifier: str, code: str | None, where: str | None) -> tuple[Because, ...]:
    """Whether the newest run of a claim, made by CODE in that environment, would be made by others now."""
    found = []
    if code is not None and verifier in verifiers() and code != code_of(verifier):
        found.append(Because(cause="verifier", said=f"the code of {verifier} has changed since its newest run"))
    if where is not None and where != environment():
        found.append(Because(cause="library", said="library versions or the machine are others than at its newest run"))
    return tuple(found)
