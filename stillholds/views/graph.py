"""The inquiry graph: a neighbourhood as a picture to walk in, and the same as a table."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from claims import overview
from claims.overview import Row
from claims.papers import naming
from claims.papers.grounding import Ground
from kb import read
from kb.graph import Neighbourhood, neighbourhood
from kb.read import Card
from stillholds.views import charts, frame, grounded, marks
from stillholds.views.network import draw
from stillholds.words import Mark, mark, marks_of

KINDS = {"Notes": "note", "Lines": "line", "Claims": "claim", "Papers": "paper"}
COLOUR = {
    "holds": "holds",
    "weak": "weak",
    "refuted": "refuted",
    "contested": "contested",
    "none": "soft",
    "ink": "soft",
}
WORDS = {
    "out": {"leans_on": "leans on", "attached": "is attached to"},
    "in": {
        "leans_on": "is leaned on by",
        "states": "is stated by",
        "cites": "is cited by",
        "extends": "is extended by",
        "attached": "has attached",
    },
}


def page() -> None:
    """Draw the page."""
    start = st.query_params.get("node") or _first()
    if start is None:
        frame.title("Graph")
        frame.empty("There is nothing to walk in yet. Import a folder of pages: stillholds import FOLDER")
        return
    view_as, steps, kinds = _choices()
    with frame.store().reading() as session:
        around = neighbourhood(session, read.find(session, start), steps)
        rows = {node.id: overview.row(session, node.id, frame.now()) for node in around.nodes if node.kind == "claim"}
        papers = naming.grounds(session, [node.id for node in around.nodes if node.kind == "paper"])
    shown = _marks(rows, papers)
    around = _only(around, kinds)
    left, right = st.columns([0.7, 0.3], gap="large")
    with left:
        if view_as == "Table":
            frame.html(_table(around, shown))
        else:
            _picture(around, rows)
        if around.left_out:
            frame.empty(
                f"{around.left_out} more entries lie within these steps and are left out: walk, or look one step far."
            )
    with right:
        _reader(around, shown)


def _first() -> str | None:
    """Where to begin when the address does not say: the line that leans on most."""
    with frame.store().reading() as session:
        for kind in ("line", "note", "claim", "paper"):
            cards = [card for card in read.cards(session, kind) if not card.is_stub]
            if cards:
                return cards[0].slug
    return None


def _choices() -> tuple[str, int, set[str]]:
    how, what, far = st.columns([0.17, 0.33, 0.5])
    view_as = (
        how.segmented_control("View", ["Picture", "Table"], default="Picture", label_visibility="collapsed")
        or "Picture"
    )
    kinds = what.pills("Show", list(KINDS), selection_mode="multi", default=list(KINDS), label_visibility="collapsed")
    steps = far.segmented_control("Steps", ["1 step", "2 steps"], default="1 step", label_visibility="collapsed")
    return view_as, 2 if steps == "2 steps" else 1, {KINDS[name] for name in kinds}


def _only(around: Neighbourhood, kinds: set[str]) -> Neighbourhood:
    """The neighbourhood without the kinds that are hidden; where one stands is always shown."""
    nodes = tuple(node for node in around.nodes if node.kind in kinds or node.slug == around.here.slug)
    slugs = {node.slug for node in nodes}
    return around.model_copy(
        update={
            "nodes": nodes,
            "edges": tuple(edge for edge in around.edges if edge.source in slugs and edge.target in slugs),
        }
    )


# --- picture ----------------------------------------------------------------------------------------------------------


def _picture(around: Neighbourhood, rows: Mapping[str, Row]) -> None:
    palette = charts.DARK if st.context.theme.type == "dark" else charts.LIGHT
    walked = draw(elements(around, rows, palette), around.here.slug, palette)
    if walked and walked != around.here.slug:
        st.query_params["node"] = walked
        st.rerun()


def elements(around: Neighbourhood, rows: Mapping[str, Row], palette: charts.Palette) -> list[dict[str, Any]]:
    """Nodes and edges as cytoscape takes them, sorted, so that one link gives one map."""
    nodes = [
        {"data": _node(node, rows.get(node.id), palette)} for node in sorted(around.nodes, key=lambda node: node.slug)
    ]
    edges = [
        {
            "data": {
                "id": f"{edge.source} {edge.type} {edge.target}",
                "source": edge.source,
                "target": edge.target,
                "type": edge.type,
                "label": edge.type.replace("_", " "),
            }
        }
        for edge in around.edges
    ]
    return nodes + edges


def _node(node: Card, row: Row | None, palette: charts.Palette) -> dict[str, Any]:
    data: dict[str, Any] = {
        "id": node.slug,
        "label": _short(node),
        "kind": node.kind,
        "href": frame.address(node.kind, node.slug),
    }
    if row is not None:
        shown = marks_of(row.standing)[-1]
        data["standing"] = row.standing.word.lower()
        data["glyph"] = marks.uri(shown.look, is_lab=shown.is_lab, colour=palette[COLOUR[shown.hue]])
        data["colour"] = palette[COLOUR[mark(row.standing.word).hue]]
    return data


def _short(node: Card) -> str:
    """A label of at most some fifty letters, cut between words."""
    words, label = node.label.split(), ""
    for word in words:
        if len(label) + len(word) > 46:
            return f"{label.rstrip(' ,;:–—')} …"
        label += f"{word} "
    return label.strip()


# --- the same in words ------------------------------------------------------------------------------------------------


def _marks(rows: Mapping[str, Row], papers: Sequence[Ground]) -> dict[str, str]:
    """What stands beside an entry, by its id: how a claim stands, and whether a paper is what pages take it for."""
    claims = {claim: "".join(f" {marks.html(one)}" for one in marks_of(row.standing)) for claim, row in rows.items()}
    return claims | {paper: f" {grounded.mark(one)}" for paper, one in grounded.by_paper(papers).items()}


def _reader(around: Neighbourhood, shown: Mapping[str, str]) -> None:
    here = around.here
    kind = f"<div class='sh-small sh-soft'>{escape(here.kind.capitalize())}</div>"
    frame.html(f"{kind}<h2 class='sh-title sh-reader'>{escape(here.title)}</h2>")
    frame.html(f"<p>{frame.anchor(frame.address(here.kind, here.slug), 'Open', 'sh-button')}</p>")
    met = _relations(around)
    by_slug = {node.slug: node for node in around.nodes}
    entries = [_neighbour(relations, by_slug[slug], shown.get(by_slug[slug].id, "")) for slug, relations in met.items()]
    frame.html(frame.heading("Neighbours", str(len(entries))) + frame.listing(entries) + _legend())


def _relations(around: Neighbourhood) -> dict[str, list[str]]:
    """Each neighbour with how it is related; "relates" says nothing beside a stronger word."""
    met: dict[str, list[str]] = {}
    for edge in around.edges:
        if around.here.slug in {edge.source, edge.target}:
            way = "out" if edge.source == around.here.slug else "in"
            met.setdefault(edge.target if way == "out" else edge.source, []).append(
                WORDS[way].get(edge.type, edge.type)
            )
    return {
        slug: [word for word in dict.fromkeys(words) if word != "relates" or set(words) == {"relates"}]
        for slug, words in met.items()
    }


def _neighbour(relations: list[str], other: Card, shown: str) -> str:
    walk = frame.anchor(f"/graph?{urlencode({'node': other.slug})}", other.label)
    said = f"<span class='sh-soft'>{escape(', '.join(relations))}</span> {walk}"
    return f"<span class='sh-small'>{said}{'<br>' + shown if shown else ''}</span>"


def _legend() -> str:
    shapes = "".join(
        f"<span class='lg'><i class='shape {kind}'></i>{kind}</span>" for kind in ("note", "line", "claim", "paper")
    )
    standings = [mark(word) for word in ("HOLDS", "WEAKENED", "REFUTED", "CONTESTED", "OPEN", "UNTESTED")]
    frame_mark = Mark("", "open", "none", "in a corner frame: at this scale only", is_lab=True)
    return (
        frame.heading("Legend")
        + f"<p class='sh-small'>{shapes}</p><p class='sh-small'>{' &ensp;'.join(map(marks.html, [*standings, frame_mark]))}</p>"
        + "<p class='sh-small sh-soft'>Click walks, double click opens. Plain lines relate, filled arrows lean on, "
        "open arrows extend, dots cite, dashes with bars contradict.</p>"
    )


def _table(around: Neighbourhood, shown: Mapping[str, str]) -> str:
    by_slug = {node.slug: node for node in around.nodes}
    cells = [
        [
            frame.anchor(f"/graph?{urlencode({'node': edge.source})}", by_slug[edge.source].label),
            escape(edge.type.replace("_", " ")),
            frame.anchor(f"/graph?{urlencode({'node': edge.target})}", by_slug[edge.target].label),
            shown.get(by_slug[edge.target].id, ""),
            f"<span class='sh-soft'>{escape(' / '.join(edge.sentences))}</span>",
        ]
        for edge in around.edges
    ]
    caption = f"{len(around.nodes)} entries and {len(around.edges)} links around “{around.here.title}”"
    return frame.table(["From", "Relation", "To", "Mark", "Sentence"], cells, caption)
