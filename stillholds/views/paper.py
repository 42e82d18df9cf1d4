"""A paper's page: what it is called, and what cites it."""

from html import escape

import streamlit as st

from kb import read
from stillholds.views import frame, prose


def page() -> None:
    """Draw the page."""
    with frame.store().reading() as session:
        view = read.view(session, read.find(session, st.query_params.get("slug", ""), "paper"))
    above = f"Paper, arXiv:{view.arxiv}" if view.arxiv else "Paper, no id known"
    frame.title(view.card.title, escape(above + (f", dated {view.date}" if view.date else "")))
    others = [title for title in view.titles if title != view.card.title]
    if others:
        frame.html(f"<p class='sh-soft'>Also called: {escape('; '.join(others))}</p>")
    if view.arxiv:
        frame.html(f"<p>https://arxiv.org/abs/{escape(view.arxiv)}</p>")
    entries = [
        f"<span class='sh-small sh-soft'>{escape(link.other.kind)} {escape(link.type.replace('_', ' '))}</span> {frame.link(link.other)}"
        + (f"<br><span class='sh-small sh-soft'>{prose.plain(link.sentence)}</span>" if link.sentence else "")
        for link in view.links
        if link.direction == "in"
    ]
    if entries:
        frame.html(frame.heading("Who names it", str(len(entries))) + frame.listing(entries))
