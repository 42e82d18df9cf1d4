"""Which run of ours would bear on a paper that speaks against a claim: the cheapest, or that none would, and why."""

from claims import runs
from claims.contract import Contract
from claims.papers.triage_model import Stance
from claims.regime import differences
from verifiers.measurement import Profile
from verifiers.registry import VerifierError

ASKED_OF = frozenset({"contradicts", "qualifies"})  # a paper that supports or extends asks for no run
PROFILE: Profile = "standard"  # a smoke run draws too few units to be evidence


def bearing(contract: Contract | None, stance: Stance) -> str:
    """Name the cheapest run that would bear on a paper of that STANCE, or say that none would and why."""
    if stance not in ASKED_OF:
        return (
            f"No run is asked for: the paper {stance} the claim." if stance != "unrelated" else "No run is asked for."
        )
    if contract is None:
        return "No run of ours would bear on this: the claim has no contract, so nothing is measured for it."
    try:
        jobs = sorted(runs.jobs_of({"": contract}, PROFILE), key=runs.expected_cpu_seconds)
        named = [(job, _named(job)) for job in jobs]
    except VerifierError as error:
        return f"No run of ours would bear on this: {error}."
    for job, name in named:
        if not differences(contract.regime, job.subject):
            return f"A run of ours would bear on this: {name}."
    cheapest, name = named[0]
    apart = "; ".join(differences(contract.regime, cheapest.subject))
    return (
        f"No run of ours decides this: all subjects lie outside what the claim speaks of ({apart}). The cheapest, {name}, "
        f"would say whether it comes out at that scale, and no more."
    )


def _named(job: runs.Job) -> str:
    """A run as people ask for it, with what it is expected to cost."""
    return f"{job.verifier} on {job.subject}, profile {job.profile}, about {_spoken(runs.expected_cpu_seconds(job))}"


def _spoken(cpu_seconds: float) -> str:
    minutes = cpu_seconds / 60
    return f"{cpu_seconds:.0f} s of processor time" if minutes < 2 else f"{minutes:.0f} min of processor time"
