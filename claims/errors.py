"""What can go wrong between a claim and its verdict.

ClaimError
├── BadContract       a contract that cannot decide, with the field and what it takes
└── NoContract        the claim is not testable as it stands
"""


class ClaimError(Exception):
    """Something that whoever keeps the library can put right."""


class BadContract(ClaimError):
    """A contract that cannot decide."""


class NoContract(ClaimError):
    """The claim has no contract, so nothing can be run for it."""
