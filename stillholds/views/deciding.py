"""What people ask for in the inbox, and what came of it: the acts of a visit, which can be taken back, newest first."""

from datetime import timedelta
from typing import Annotated, Literal, cast

import streamlit as st
from pydantic import Field, TypeAdapter, ValidationError

from claims.errors import CannotSay, ClaimError
from claims.ledger import Relation
from claims.papers import inbox
from claims.papers.inbox import Attach, Deed, Dismiss, Done, Snooze
from kb.errors import KbError, StoreError
from stillholds import options
from stillholds.views import frame
from verifiers.measurement import Value

VISIT = "inbox-visit"


class Asked(Value):
    """What the browser asks for; the words of a stranger until the ledger takes them."""

    number: Annotated[int, Field(ge=1)]  # each act of a visit has its own, and a later one a higher one
    follows: bool = False  # it came while the act before it had no answer, and is answered beside it
    act: Literal["attach", "dismiss", "snooze", "undo"]
    pairs: Annotated[tuple[tuple[str, str], ...], Field(max_length=1000)] = ()  # claim (id) and arXiv id
    relation: str = ""
    reason: str = ""
    days: Annotated[int, Field(ge=1, le=3650)] = 14
    of: int = 0  # the number of the act that undo takes back


class Outcome(Value):
    """What came of one act: what was done, or why it was not."""

    number: int
    done: tuple[Done, ...] = ()
    refused: str = ""
    is_away: bool = False  # the library was out of reach: it may be done later


class Visit(Value):
    """What was done in the inbox since the app was opened."""

    heard: int = 0  # the number of the last act that was answered
    trail: tuple[Outcome, ...] = ()  # the acts that can be taken back, oldest first
    said: tuple[Outcome, ...] = ()  # what came of the last acts, those that followed each other

    @property
    def done(self) -> list[Done]:
        """What the last acts did."""
        return [one for outcome in self.said for one in outcome.done]

    @property
    def refused(self) -> list[str]:
        """Why some of the last acts were not done, each reason once."""
        return list(dict.fromkeys(outcome.refused for outcome in self.said if outcome.refused))

    @property
    def claims(self) -> list[str]:
        """The claims (ids) that the last acts were about, each once."""
        return list(dict.fromkeys(one.claim.id for one in self.done))


_ACTS = TypeAdapter(tuple[Asked, ...])


def here() -> Visit:
    """The visit that is going on."""
    return cast(Visit, st.session_state.get(VISIT, Visit()))


def hear(text: str) -> None:
    """Do the acts of a message, each once, however often it comes."""
    for asked in _asked(text):
        if asked.number > here().heard:
            st.session_state[VISIT] = _after(here(), asked)


def _asked(text: str) -> tuple[Asked, ...]:
    try:
        return _ACTS.validate_json(text)
    except ValidationError:
        return ()


def _after(visit: Visit, asked: Asked) -> Visit:
    """What a visit comes to with one more act. Where the library was out of reach for one, those that follow it need not
    wait for it too.
    """
    before = visit.said if asked.follows else ()
    away = next((one for one in before if one.is_away), None)
    outcome = away.model_copy(update={"number": asked.number}) if away else _outcome(visit, asked)
    return Visit(heard=asked.number, trail=_trail(visit.trail, asked, outcome), said=(*before, outcome))


def _outcome(visit: Visit, asked: Asked) -> Outcome:
    """Do what was asked, or say why not."""
    try:
        return Outcome(number=asked.number, done=tuple(_done(visit, asked)))
    except ValidationError:
        return Outcome(number=asked.number, refused="that is nothing that can be done to a paper; nothing was changed")
    except StoreError as error:
        return Outcome(number=asked.number, refused=str(error), is_away=True)
    except (ClaimError, KbError) as error:
        return Outcome(number=asked.number, refused=f"nothing was changed: {error}")


def _done(visit: Visit, asked: Asked) -> list[Done]:
    store, who, now = frame.store(), options.me(), frame.now()
    if asked.act != "undo":
        return inbox.many(store, asked.pairs, _deed(asked), who, now)
    meant = [one for outcome in visit.trail if outcome.number == asked.of for one in outcome.done]
    if not meant:
        raise CannotSay(
            "nothing was done here that could be taken back; `stillholds triage undo CLAIM` goes back further"
        )
    return inbox.undo_many(store, [(one.claim.id, one.seq) for one in reversed(meant)], who, now)


def _trail(trail: tuple[Outcome, ...], asked: Asked, outcome: Outcome) -> tuple[Outcome, ...]:
    """The acts that can be taken back, after one more."""
    if asked.act != "undo":
        return (*trail, outcome) if outcome.done else trail
    if outcome.is_away:
        return trail
    return tuple(one for one in trail if one.number != asked.of)  # refused: somebody else took it back


def _deed(asked: Asked) -> Deed:
    match asked.act:
        case "dismiss":
            return Dismiss(reason=asked.reason)
        case "snooze":
            return Snooze(until=frame.now() + timedelta(days=asked.days))
        case _:
            return Attach(relation=cast(Relation, asked.relation))  # checked by the model
