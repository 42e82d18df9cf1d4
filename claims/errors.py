"""What can go wrong between a claim and its verdict.

ClaimError
├── BadContract       a contract that cannot decide, with the field and what it takes
├── BadQuery          a saved query that arXiv could not answer, with what it takes
├── BadSchedule       settings that could never be kept, with what they take
├── CannotCertify     a verifier that cannot be tried, or a trial that broke off
├── CannotKeep        a copy of a library that is no good, or that may not take the place of what is there
├── CannotSay         a person's word that the ledger does not take: a reason is missing, or it does not fit what stands
├── NoAnswer          what was asked of a run cannot be told: it is not there, or its verifier is gone
├── NoContract        the claim is not testable as it stands
├── NoQuery           no saved query has that name, or one has it already
├── NoTask            nothing that was asked for is meant by that
├── PullRuns          somebody pulls for this library already
├── Stopping          a worker is being stopped before it could begin
└── WorkerRuns        a library in a file has a worker already
"""


class ClaimError(Exception):
    """Something that whoever keeps the library can put right."""


class BadContract(ClaimError):
    """A contract that cannot decide."""


class BadQuery(ClaimError):
    """A saved query that arXiv could not answer."""


class BadSchedule(ClaimError):
    """A schedule that can never be kept, with the setting and what it takes."""


class CannotCertify(ClaimError):
    """No certificate can be made, whether granted or not."""


class CannotKeep(ClaimError):
    """A copy cannot be made, or cannot be put back."""


class CannotSay(ClaimError):
    """A person's word that the ledger does not take."""


class NoAnswer(ClaimError):
    """What was asked of a run cannot be told, and why."""


class NoContract(ClaimError):
    """The claim has no contract, so nothing can be run for it."""


class NoQuery(ClaimError):
    """No saved query has that name, or one has it already."""


class NoTask(ClaimError):
    """Nothing that was asked for is meant by that."""


class PullRuns(ClaimError):
    """Somebody pulls for this library already."""


class Stopping(ClaimError):
    """There is no more time: what has not begun waits for the next worker."""


class WorkerRuns(ClaimError):
    """A library in a file has a worker already."""
