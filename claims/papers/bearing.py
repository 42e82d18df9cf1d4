"""Which run of ours would bear on a paper, should it speak against a claim: the cheapest, or that none would, and why."""

from claims import runs
from claims.contract import Contract
from claims.papers.triage_model import Stance
from claims.regime import differences
from verifiers.measurement import Profile
from verifiers.registry import VerifierError

ASKED_OF = frozenset({"contradicts", "qualifies"})  # a paper that supports or extends asks for no run
PROFILE: Profile = "standard"  # a smoke run draws too few units to be evidence


def bearing(contract: Contract | None, stance: Stance) -> str:
    """Name the cheapest run that would bear on a paper of that STANCE, or say that none would and why. A stance is a guess,
    and often a wrong one: all is said under the condition that it is right.
    """
    if contract is None:
        return f"If it {stance} the claim, no run of ours bears on that: there is no contract, so nothing is measured."
    try:
        jobs = sorted(runs.jobs_of({"": contract}, PROFILE), key=runs.expected_cpu_seconds)
        named = [(job, _named(job)) for job in jobs]
    except VerifierError as error:
        return f"If it {stance} the claim, no run of ours bears on that: {error}."
    for job, name in named:
        if not differences(contract.regime, job.subject):
            return f"If it {stance} the claim, a run of ours bears on that: {name}."
    cheapest, name = named[0]
    apart = "; ".join(differences(contract.regime, cheapest.subject))
    return (
        f"If it {stance} the claim, no run of ours decides that: all subjects lie outside what the claim speaks of ({apart}). "
        f"The cheapest, {name}, would say whether it comes out at that scale, and no more."
    )


def _named(job: runs.Job) -> str:
    """A run as people ask for it, with what it is expected to cost."""
    return f"{job.verifier} on {job.subject}, profile {job.profile}, about {_spoken(runs.expected_cpu_seconds(job))}"


def _spoken(cpu_seconds: float) -> str:
    minutes = cpu_seconds / 60
    return f"{cpu_seconds:.0f} s of processor time" if minutes < 2 else f"{minutes:.0f} min of processor time"
