"""Where a library is: a file of SQLite, or a database of PostgreSQL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url

from kb.errors import StoreError

VARIABLE = "STILLHOLDS_STORE"
DEFAULT = "library.db"
KINDS = "use a path, sqlite:///PATH or postgresql://USER@HOST/DATABASE"


@dataclass(frozen=True)
class Location:
    """Where a library is. As text it shows no password, so that it can stand in a message; `url` has it, and is for
    the environment of a child process, never for its command line, which all users of a machine can read.
    """

    url: str = field(repr=False)
    path: Path | None = None  # None on PostgreSQL
    shown: str = ""

    def __str__(self) -> str:
        return self.shown

    @classmethod
    def of(cls, place: "Path | Location") -> "Location":
        """The location of a file, which may not be there yet."""
        if isinstance(place, Location):
            return place
        path = place.expanduser().absolute()
        url = URL.create("sqlite", database=str(path)).render_as_string()
        return cls(url, path, str(path))


def location_from(option: str | None, environment: Mapping[str, str]) -> Location:
    """The library that was asked for: an option, else STILLHOLDS_STORE, else ./library.db; as a path or as a sqlite://
    or postgresql:// address.

    Raises:
        StoreError: for an address of another kind.
    """
    said = option or environment.get(VARIABLE) or DEFAULT
    if "://" not in said:
        return Location.of(Path(said))
    try:
        url = make_url(said)
    except Exception as error:
        raise StoreError(f"{without_password(said)!r} is no address of a store: {KINDS}") from error
    if url.drivername == "sqlite" and url.database:
        return Location.of(Path(url.database))
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"} and url.database:
        whole = url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        return Location(whole, None, without_password(url.set(drivername="postgresql").render_as_string()))
    raise StoreError(f"{without_password(said)!r} is no address of a store: {KINDS}")


def without_password(said: str) -> str:
    """An address, well formed or not, with stars for the passwords in it."""
    said = re.sub(r"(?<=://)([^:/?@]*):.*@", r"\1:***@", said)
    return re.sub(r"((?:ssl)?password=)[^&]*", r"\1***", said)
