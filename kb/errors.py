"""What can go wrong with a library, and what its user can do about it.

KbError
├── StoreError        the database: missing, newer than the code, read-only, full, broken; `passing` if it may pass
├── NotFound          no entry has that slug; `near` are the closest ones
└── PageError         one file cannot be imported; says which and why
"""


class KbError(Exception):
    """Something that the user of a library can put right."""


class StoreError(KbError):
    """The database cannot be used as asked. `passing` says whether the same may work later: it is busy, full, or out
    of reach.
    """

    def __init__(self, said: str, *, passing: bool = False) -> None:
        self.passing = passing
        super().__init__(said)


class NotFound(KbError):
    """No entry has that slug."""

    def __init__(self, slug: str, near: list[str], kind: str = "entry") -> None:
        self.slug, self.near = slug, near
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `stillholds search WORDS` finds slugs"
        super().__init__(f"no {kind} has the slug {slug!r}{hint}")


class PageError(KbError):
    """A file cannot be imported."""
