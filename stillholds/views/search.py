"""Search: by meaning and by words, with filters, and for every hit why it was found."""

from collections.abc import Mapping
from html import escape

import streamlit as st

from claims.papers import naming
from claims.papers.grounding import Ground
from claims.standing import StandingWord
from kb import embedding, read, search
from kb.dates import WrittenDate
from kb.embedding import Embedder, WeightsMissing
from kb.errors import StoreError
from kb.search import Filters, Hit
from stillholds.views import frame, grounded

KINDS = {"Notes": "note", "Lines": "line", "Claims": "claim", "Papers": "paper"}
STANDINGS: dict[str, StandingWord] = {
    "Holds": "HOLDS",
    "Weakened": "WEAKENED",
    "Refuted": "REFUTED",
    "Contested": "CONTESTED",
    "Open": "OPEN",
    "Untested": "UNTESTED",
    "Documentary": "DOCUMENTARY",
}


def page() -> None:
    """Draw the page."""
    frame.title("Search")
    asked = st.query_params.get("q", "")
    question = st.text_input("Question", asked, placeholder="Ask in your own words", label_visibility="collapsed")
    filters = _filters()
    if question != asked:
        st.query_params["q"] = question
    if not question.strip():
        frame.empty("Ask a question in your own words; the words of the note need not occur in it.")
        return
    embedder, trouble = _embedder()
    if trouble:
        frame.html(f"<p class='sh-soft'>{escape(trouble)}</p>")
    with frame.store().reading() as session:
        hits = search.search(session, question, embedder, filters, 20)
        papers = [read.find(session, hit.slug).id for hit in hits if hit.kind == "paper"]
        grounds = naming.grounds(session, papers) if papers else []
    known = {one.named.card.slug: one for one in grounds if one.named.card}
    frame.html(frame.listing([_entry(hit, known) for hit in hits]))
    if not hits:
        frame.empty("Nothing was found. Fewer words, other words or fewer filters may help.")


def _filters() -> Filters:
    kinds, standings, since, until = st.columns([0.34, 0.34, 0.16, 0.16])
    chosen = kinds.pills("Kind", list(KINDS), selection_mode="multi")
    standing = standings.multiselect("Standing of claims", list(STANDINGS), placeholder="any")
    first, last = since.text_input("Dated from", placeholder="2025-05"), until.text_input("to", placeholder="2026")
    try:
        return Filters(
            kinds=tuple(KINDS[name] for name in chosen),
            standings=tuple(STANDINGS[name] for name in standing),
            since=WrittenDate.parse(first).earliest if first else None,
            until=WrittenDate.parse(last).latest if last else None,
        )
    except ValueError as error:
        frame.html(f"<p>{escape(str(error))}</p>")
        return Filters()


@st.cache_resource(show_spinner="Loading the embedding model …")
def _loaded() -> Embedder:
    return embedding.load()


def _embedder() -> tuple[Embedder | None, str]:
    """The embedding model with everything embedded, and what of that is missing, in words."""
    try:
        embedder = _loaded()
    except WeightsMissing as error:
        return None, f"Searching by words alone: {error}"
    if not frame.is_read_only():
        try:
            embedding.embed_due(frame.store(), embedder, lambda _done, _total: None)
        except StoreError as error:
            return embedder, f"New text could not be embedded and is found by its words only: {error}"
    return embedder, ""


def _entry(hit: Hit, known: Mapping[str, Ground]) -> str:
    why = hit.why
    reasons = []
    if why.meaning_rank and why.similarity is not None:
        reasons.append(f"meaning, rank {why.meaning_rank}, cosine {why.similarity:.2f}")
    if why.words_rank:
        reasons.append(f"words, rank {why.words_rank}: {', '.join(why.terms)}")
    passage = "" if why.passage == hit.title else f"<br>{escape(why.passage)}"
    title = frame.anchor(frame.address(hit.kind, hit.slug), hit.title) + grounded.suffix(known, hit.slug)
    return (
        f"<span class='sh-small sh-soft'>{escape(hit.kind)}</span> {title}"
        f"{passage}<br><span class='sh-small sh-soft'>{escape('; '.join(reasons))}</span>"
    )
