"""A note's page and a line's page: prose with its links and marks, and beside it what it leans on and what leans on it."""

from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from claims import overview
from claims.overview import Row
from claims.papers import naming
from claims.papers.grounding import Ground
from kb import read
from kb.read import Linked, View
from stillholds.views import frame, grounded, marks, prose
from stillholds.words import day, fresh_mark, marks_of


def note() -> None:
    """A note."""
    view, rows, papers = _load("note")
    _head(view, "Note")
    left, right = st.columns([0.62, 0.38], gap="large")
    with left:
        _prose(view, rows)
        _related(view)
    with right:
        _claims(view, rows, "Claims it states")
        _plain("Lines that lean on it", _of(view, "in", "line"))
        _papers(view, papers)
        _open_in_graph(view)
        _provenance(view)


def line() -> None:
    """An inquiring line."""
    view, rows, papers = _load("line")
    _head(view, "Line")
    left, right = st.columns([0.62, 0.38], gap="large")
    with left:
        _prose(view, rows)
        if view.prompt:
            _prompt(view.prompt, view, rows)
            frame.html(grounded.summary(papers))  # it asks to flag what cannot be grounded
        _plain("Next lines", _of(view, "out", "line"))
    with right:
        _claims(view, rows, "What this line leans on")
        _plain("Notes it walks over", _of(view, "out", "note"))
        _papers(view, papers)
        _open_in_graph(view)
        _provenance(view)


def _load(kind: str) -> tuple[View, dict[str, Row], list[Ground]]:
    slug = st.query_params.get("slug", "")
    with frame.store().reading() as session:
        entity = read.find(session, slug, kind)
        view = read.view(session, entity)
        claims = {link.other.id for link in view.links if link.other.kind == "claim"}
        rows = {claim: overview.row(session, claim, frame.now()) for claim in claims}
        return view, rows, naming.of_entry(session, entity)


def _head(view: View, kind: str) -> None:
    facts = [kind]
    notes, claims = len(_of(view, "out", "note")), len(_of(view, "out", "claim"))
    if kind == "Line" and not view.card.is_stub:
        facts.append(f"leans on {notes} notes and {claims} claims")
    if view.date:
        facts.append(f"dated {view.date}")
    facts.append(f"last edited {day(view.updated_at)}")
    frame.title(view.card.title, escape(", ".join(facts)))


def _prose(view: View, rows: dict[str, Row]) -> None:
    hook = f"<p class='sh-hook'>{prose.plain(view.hook)}</p>" if view.hook else ""
    body = prose.render(view.body, view.links, lambda link: _inline(link, rows))
    summary = f"<p>{prose.plain(view.summary)}</p>" if view.summary and not view.body else ""
    frame.html(f"{hook}<div class='sh-prose'>{body}{summary}</div>")
    if view.original_title:
        frame.html(f"<p class='sh-small sh-soft'>Originally titled: {escape(view.original_title)}</p>")
    if view.card.is_stub:
        frame.empty("Other pages name this; it has no page of its own yet. Import the page, and it will stand here.")


def _inline(link: Linked, rows: dict[str, Row]) -> str:
    """The marks behind a phrase that leans on a claim."""
    row = rows.get(link.other.id)
    return "".join(f" {marks.html(one, small_words=True)}" for one in marks_of(row.standing)) if row else ""


def _of(view: View, direction: str, kind: str) -> list[Linked]:
    """Links in one direction to one kind, each other end once, in order of appearance; a link with a sentence wins."""
    found: dict[str, Linked] = {}
    for link in view.links:
        if (
            link.direction == direction
            and link.other.kind == kind
            and (link.other.id not in found or not found[link.other.id].sentence)
        ):
            found[link.other.id] = link
    return sorted(found.values(), key=lambda link: (link.start is None, link.start or 0))


def _claims(view: View, rows: dict[str, Row], title: str) -> None:
    links = _of(view, "out", "claim")
    entries = []
    for link in links:
        row = rows[link.other.id]
        shown = [*marks_of(row.standing), *([fresh_mark(row.freshness, frame.now())] if row.freshness else [])]
        entries.append(
            f"{frame.link(link.other)}<br><span class='sh-small'>{' &ensp;'.join(marks.html(one) for one in shown)}</span>"
        )
    if links:
        frame.html(frame.heading(title, f"{len(links)} claim{'' if len(links) == 1 else 's'}") + frame.listing(entries))


def _plain(title: str, links: Sequence[Linked]) -> None:
    if links:
        entries = [frame.link(link.other) + _named_only(link) for link in links]
        frame.html(frame.heading(title, str(len(links))) + frame.listing(entries))


def _papers(view: View, grounds: Sequence[Ground]) -> None:
    """The papers, each with whether it is what the page takes it for."""
    links, known = _of(view, "out", "paper"), grounded.by_paper(grounds)
    if links:
        entries = [frame.link(link.other) + grounded.suffix(known, link.other.id) for link in links]
        frame.html(frame.heading("Papers", str(len(links))) + frame.listing(entries))


def _named_only(link: Linked) -> str:
    return " <span class='sh-small sh-soft'>no page yet</span>" if link.other.is_stub else ""


def _related(view: View) -> None:
    """Notes that are related, each with the reason."""
    links = {
        link.other.id: link
        for link in view.links
        if link.other.kind == "note" and (link.sentence or not link.stands_here)
    }
    entries = [
        f"<span class='sh-small sh-soft'>{escape(link.type.replace('_', ' '))}</span> {frame.link(link.other)}"
        + (f"<br><span class='sh-small sh-soft'>{prose.plain(link.sentence)}</span>" if link.sentence else "")
        for link in links.values()
    ]
    if entries:
        frame.html(frame.heading("Related notes", str(len(entries))) + frame.listing(entries))


def _prompt(prompt: dict[str, Any], view: View, rows: dict[str, Row]) -> None:
    """The page's own research prompt, parted into what lasts and what may not."""
    with st.expander("Research prompt of this page"):
        parts = [f"<p>{prose.plain(prompt['introduction'])}</p>"]
        if prompt["durable"]:
            parts.append(f"<p><span class='sh-soft'>Durable question</span><br>{escape(prompt['durable'])}</p>")
        if prompt["perishable"]:
            parts.append(f"<p><span class='sh-soft'>Perishable</span><br>{escape('; '.join(prompt['perishable']))}</p>")
        stated = [link for link in _of(view, "out", "claim") if link.type == "states"]
        parts.append(
            frame.listing(
                [f"{frame.link(link.other)} <span class='sh-small'>{_inline(link, rows)}</span>" for link in stated]
            )
        )
        parts += [f"<p>{prose.plain(task)}</p>" for task in prompt["tasks"]]
        frame.html("".join(parts))


def _open_in_graph(view: View) -> None:
    where = urlencode({"node": view.card.slug})
    frame.html(f"<p>{frame.anchor(f'/graph?{where}', 'Open in graph')}</p>")


def _provenance(view: View) -> None:
    if view.source is not None:
        said = f"From {view.source.place}, version {view.source.version}, imported {day(view.source.imported_at)} by {view.source.reader}."
        frame.html(f"<p class='sh-small sh-soft'>{escape(said)}</p>")
