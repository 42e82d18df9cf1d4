"""Turns the words of a command line into values, or says what they may be."""

import difflib
import secrets
from collections.abc import Sequence
from typing import cast, get_args

import typer

from claims.judge import Word
from claims.standing import StandingWord
from kb.dates import WrittenDate
from kb.search import Filters
from kb.sources.page import Kind
from verifiers.measurement import Profile


def profile(name: str) -> Profile:
    """One of the three profiles."""
    return cast(Profile, _one_of(name, get_args(Profile), "profile"))


def gate(said: str | None) -> frozenset[str]:
    """The verdicts of --fail-on, in capitals."""
    names = [part.strip().upper() for part in (said or "").split(",") if part.strip()]
    return frozenset(_one_of(name, get_args(Word), "verdict") for name in names)


def filters(kinds: Sequence[str], since: str | None, until: str | None, standings: Sequence[str]) -> Filters:
    """What hits must be."""
    return Filters(
        kinds=tuple(_one_of(kind.lower().removesuffix("s"), get_args(Kind), "kind") for kind in kinds),
        since=_date(since, "--since").earliest if since else None,
        until=_date(until, "--until").latest if until else None,
        standings=tuple(_one_of(word.upper(), get_args(StandingWord), "standing") for word in standings),
    )


def parameters(said: Sequence[str]) -> dict[str, float]:
    """The numbers of --parameter NAME=VALUE."""
    found = {}
    for part in said:
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError as error:
            raise typer.BadParameter(f"{part!r} is no NAME=NUMBER", param_hint="--parameter") from error
    return found


def columns(named: Sequence[str], units: Sequence[str]) -> dict[str, str]:
    """The names of --column WHAT=NAME and the units of --unit WHAT=UNIT, as a log's reader takes them."""
    found: dict[str, str] = {}
    for option, ending, said in (("--column", "", named), ("--unit", "_unit", units)):
        for part in said:
            what, _, value = part.partition("=")
            if not what.strip() or not value.strip():
                raise typer.BadParameter(f"{part!r} is no WHAT=NAME, such as entropy=bits", param_hint=option)
            if found.setdefault(what.strip() + ending, value.strip()) != value.strip():
                raise typer.BadParameter(f"{what.strip()!r} is said twice", param_hint=option)
    return found


def seed(given: int | None) -> int:
    """The seed that was given, or a new one."""
    return secrets.randbelow(2**52) if given is None else given


def _date(text: str, option: str) -> WrittenDate:
    try:
        return WrittenDate.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _one_of(name: str, allowed: Sequence[str], what: str) -> str:
    if name in allowed:
        return name
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f"did you mean {near[0].lower()}?" if near else f"there is: {', '.join(allowed).lower()}"
    raise typer.BadParameter(f"no {what} is called {name.lower()!r}; {hint}")


def me() -> str:
    """Who asks: the name of the user whose process this is."""
    from getpass import getuser

    try:
        return getuser()
    except (OSError, KeyError):  # no name, no table of users
        return "somebody"
