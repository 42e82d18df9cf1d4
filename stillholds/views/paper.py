"""A paper's page: what pages call it, what arXiv says of it, whether the two agree, which claims it was attached to, who
names it, and how it is cited.
"""

from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st

from claims import ledger
from claims.papers import citations, looking_up, naming
from claims.papers.grounding import Ground, Proposal
from claims.papers.inbox import Act, inbox_of
from kb import read
from kb.latex import readable
from kb.read import Linked, View
from kb.sources.arxiv_record import Record
from stillholds import citing, options
from stillholds.views import frame, grounded
from stillholds.views.lists import linked
from stillholds.words import day

MOST_AUTHORS = 12


def page() -> None:
    """Draw the page."""
    with frame.store().reading() as session:
        entity = read.find(session, st.query_params.get("slug", ""), "paper")
        view = read.view(session, entity)
        (one,) = naming.grounds(session, [entity.id])
    above = f"Paper, arXiv:{one.arxiv}" if one.arxiv else "Paper, no id known"
    frame.title(view.card.title, escape(above + (f", dated {view.date}" if view.date else "")))
    left, right = st.columns([0.62, 0.38], gap="large")
    with left:
        _names(view)
        frame.html(frame.heading("Grounding", _checked(one)) + grounded.findings(one))
        _proposals(one)
        if one.known.record:
            _said(one.known.record)
    with right:
        _cite(view)
        _attached_to(view, one)
        _named_by(view)
        _happened(one)


def _names(view: View) -> None:
    others = [title for title in view.titles if title != view.card.title]
    if others:
        frame.html(f"<p class='sh-soft'>Also called: {escape('; '.join(others))}</p>")


def _checked(one: Ground) -> str:
    if one.checked_at is None:
        return "stillholds ground asks arXiv"
    return f"asked on {one.checked_at:%Y-%m-%d}"


def _proposals(one: Ground) -> None:
    """What it may be: a person decides, one press each."""
    for proposal in one.proposals:
        about, decide = st.columns([0.8, 0.2], vertical_alignment="center")
        with about:
            frame.html(_proposal(proposal))
        with decide:
            pressed = st.button(
                "It is this one", key=f"accept-{proposal.record.arxiv}", disabled=frame.is_read_only(), width="stretch"
            )
        if pressed:
            looking_up.accept(frame.store(), one.named.key, proposal.record.arxiv, options.me(), frame.now())
            st.rerun()


def _proposal(proposal: Proposal) -> str:
    record = proposal.record
    said = (
        f"arXiv:{record.arxiv}, {record.published_at:%Y-%m-%d}, {_authors(record)}; similar {proposal.similarity:.2f}"
    )
    return f"<p>{escape(readable(record.title))}<br><span class='sh-small sh-soft sh-theirs'>{escape(said)}</span></p>"


def _said(record: Record) -> None:
    """What arXiv says; its text is nobody's to trust."""
    rows = [
        ("Title", readable(record.title)),
        ("Authors", _authors(record)),
        ("First version", f"{record.published_at:%Y-%m-%d}"),
        ("Newest version", f"{record.version}, {record.updated_at:%Y-%m-%d}"),
        ("Categories", ", ".join(record.categories)),
        ("Comment", readable(record.comment)),
        ("Journal", readable(record.journal)),
        ("DOI", record.doi),
        ("Address", f"https://arxiv.org/abs/{record.arxiv}"),
    ]
    cells = [
        [f"<span class='sh-soft'>{name}</span>", f"<span class='sh-theirs'>{escape(text)}</span>"]
        for name, text in rows
        if text
    ]
    frame.html(frame.heading("As arXiv has it") + frame.table(["", ""], cells))
    frame.html(f"<div class='sh-prose'><p>{escape(readable(record.abstract))}</p></div>")


def _authors(record: Record) -> str:
    shown = ", ".join(map(readable, record.authors[:MOST_AUTHORS]))
    more = len(record.authors) - MOST_AUTHORS
    return shown + (f" and {more} more" if more > 0 else "")


def _cite(view: View) -> None:
    """The paper for other people's bibliographies; made when it is asked for, since a key minds all papers."""
    for place, (name, form) in zip(st.columns(len(citing.FORMS)), citing.FORMS.items(), strict=True):
        place.download_button(
            form.name,
            partial(_written, view.card.slug, name),
            f"{view.card.slug[:80]}.{form.ending}",
            form.media_type,
            key=f"cite-{name}",
            width="stretch",
            on_click="ignore",
        )


def _written(slug: str, form: str) -> str:
    with frame.store().reading() as session:
        return citing.FORMS[form].write(citations.chosen(session, [slug]))


def _attached_to(view: View, one: Ground) -> None:
    """The claims that people attached it to, as what, and the sentence of it that shows that."""
    links = [link for link in view.links if link.type == "attached"]
    acts = _acts([link.other.id for link in links], one.arxiv or "")
    entries = [_attached(link, acts.get(link.other.id)) for link in links]
    if entries:
        frame.html(frame.heading("Attached to", str(len(entries))) + frame.listing(entries))


def _acts(claims: Sequence[str], arxiv: str) -> dict[str, Act]:
    """Who attached it and when, by the ids of the claims."""
    with frame.store().reading() as session:
        found = {claim: inbox_of(ledger.entries(session, claim)).get(arxiv) for claim in claims}
    return {claim: beside.paper for claim, beside in found.items() if beside and beside.paper}


def _attached(link: Linked, act: Act | None) -> str:
    by = f"<br><span class='sh-small sh-soft'>by {escape(act.event.who)}, {day(act.at)}</span>" if act else ""
    said = f"<br><span class='sh-small sh-theirs'>{escape(readable(link.sentence))}</span>" if link.sentence else ""
    return f"<span class='sh-small sh-soft'>{escape(link.label)}</span> {frame.link(link.other)}{said}{by}"


def _named_by(view: View) -> None:
    entries = [linked(link) for link in view.links if link.direction == "in"]
    if entries:
        frame.html(frame.heading("Who names it", str(len(entries))) + frame.listing(entries))


def _happened(one: Ground) -> None:
    rows = [[f"{news.at:%Y-%m-%d}", escape(news.kind), f"v{news.version}"] for news in reversed(one.known.news)]
    if rows:
        frame.html(frame.heading("What happened to it", "by arXiv's clock") + frame.table(["", "", ""], rows))
