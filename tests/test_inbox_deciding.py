"""The acts of a visit to the inbox: each is done once, in the order of its numbers, and taken back newest first."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claims import ledger
from claims.errors import CannotSay
from claims.papers import inbox
from kb.errors import StoreError
from kb.store import Store
from stillholds.views import deciding, frame
from tests.claims_support import NOW
from tests.inbox_support import an_inbox, id_of

FIRST, SECOND = "2611.00001", "2611.00002"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = an_inbox(tmp_path)
    monkeypatch.setattr(deciding, "st", SimpleNamespace(session_state={}))
    monkeypatch.setattr(frame, "store", lambda: store)
    monkeypatch.setattr(frame, "now", lambda: NOW)
    return store


def said(store: Store, *acts: dict[str, Any]) -> deciding.Visit:
    with store.reading() as session:
        claim = id_of(session, "the-gap")
    deciding.hear(json.dumps([act | {"pairs": [(claim, arxiv) for arxiv in act.get("pairs", ())]} for act in acts]))
    return deciding.here()


def attach(number: int, *papers: str, **more: Any) -> dict[str, Any]:
    return {"number": number, "act": "attach", "pairs": papers, "relation": "qualifies", **more}


def undo(number: int, of: int) -> dict[str, Any]:
    return {"number": number, "act": "undo", "of": of}


def kinds(store: Store) -> list[str]:
    with store.reading() as session:
        entries = ledger.entries(session, id_of(session, "the-gap"))
    return [entry.event.kind for entry in entries if entry.event.kind in inbox.PAPER_KINDS]


def test_a_message_that_comes_again_does_nothing_again(store: Store) -> None:
    once = said(store, attach(1, FIRST))
    assert said(store, attach(1, FIRST)) == once
    both = said(store, attach(1, FIRST), attach(2, SECOND, follows=True))
    assert both.heard == 2
    assert [one.arxiv for one in both.done] == [FIRST, SECOND]
    assert both.refused == []
    assert kinds(store) == ["attached", "attached"]


def test_acts_are_taken_back_one_by_one_and_several_papers_are_one(store: Store) -> None:
    said(store, attach(1, FIRST), attach(2, SECOND, "2611.00003"))
    assert [one.kind for one in said(store, undo(3, of=2)).done] == ["undone", "undone"]
    assert said(store, undo(4, of=1)).trail == ()
    assert said(store, undo(5, of=1)).refused[0].startswith("nothing was changed: nothing was done here")
    assert kinds(store) == ["attached"] * 3 + ["undone"] * 3


def test_what_the_library_could_not_take_is_said_once_and_can_be_done_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def busy(*args: Any) -> None:
        tried.append(args)
        raise StoreError("the library is busy", passing=True)

    said(store, attach(1, FIRST))
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "many", busy)
        patch.setattr(inbox, "undo_many", busy)
        visit = said(store, attach(2, SECOND), attach(3, "2611.00003", follows=True))
        assert (visit.heard, visit.refused, len(tried)) == (3, ["the library is busy"], 1)
        assert [one.number for one in said(store, undo(4, of=1)).trail] == [1]
    assert said(store, undo(5, of=1)).trail == ()


def test_an_act_that_somebody_took_back_elsewhere_is_not_in_the_way_of_the_one_before(store: Store) -> None:
    visit = said(store, attach(1, FIRST), attach(2, SECOND))
    inbox.undo_many(store, [(one.claim.id, one.seq) for one in visit.trail[-1].done], "somebody", NOW)
    visit = said(store, undo(3, of=2))
    assert "was taken back" in visit.refused[0]
    assert [one.number for one in visit.trail] == [1]


def test_words_that_are_no_act_change_nothing(store: Store) -> None:
    for text in ("", "[", "[1]", '[{"number": 1, "act": "burn"}]'):
        deciding.hear(text)
    assert deciding.here() == deciding.Visit()
    assert "nothing that can be done" in said(store, attach(1, FIRST, relation="adores")).refused[0]
    assert kinds(store) == []


def test_pages_say_in_words_what_the_ledger_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(frame, "failure", lambda text, near: told.append(text))
    with frame.in_words():
        raise CannotSay("a reason is missing")
    assert told == ["a reason is missing"]
