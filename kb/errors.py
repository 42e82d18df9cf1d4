"""What can go wrong with a library, and what its user can do about it.

KbError
├── StoreError        the database: missing, newer than the code, read-only, full, broken; `passing` if it may pass
├── NotFound          no entry has that slug; `near` are the closest ones
├── PageError         one file cannot be imported; says which and why
├── PaceError         the processes of an account cannot agree on when to ask
│   └── Held          a service asked everybody to stay away for longer than one waits; `host`, `seconds`
└── ArxivRefused      arXiv did not answer, or not with what was asked for; `passing`, `resume_at`
"""

from datetime import datetime


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


class PaceError(KbError):
    """The processes of an account cannot agree on when to ask."""


class Held(PaceError):
    """A service asked everybody to stay away, for so many seconds from now."""

    def __init__(self, host: str, seconds: float) -> None:
        self.host, self.seconds = host, seconds
        super().__init__(f"{host} asked not to be asked again for another {seconds:.0f} seconds")


class ArxivRefused(KbError):
    """ArXiv did not answer, or not with what was asked for. `passing` says whether the same may work later, and
    `resume_at`, where arXiv said so, when; `is_spoilt` that it did answer, and nobody can use what it said.
    """

    def __init__(
        self, said: str, *, passing: bool = False, resume_at: datetime | None = None, is_spoilt: bool = False
    ) -> None:
        self.passing, self.resume_at, self.is_spoilt = passing, resume_at, is_spoilt
        super().__init__(said)
