"""Neighbourhoods of the inquiry graph; knows no standing."""

from pydantic import BaseModel
from sqlmodel import Session, col, or_, select

from kb.models import Entity, Link
from kb.read import Card, card


class Edge(BaseModel):
    """A link between two entries of a neighbourhood, by their slugs; all links of one type between them are one
    edge.
    """

    source: str
    target: str
    type: str
    sentences: tuple[str, ...] = ()


class Neighbourhood(BaseModel):
    """The entries within some steps of one, nearest first, and the links among them."""

    here: Card
    nodes: tuple[Card, ...]
    steps: dict[str, int]  # slug → distance
    edges: tuple[Edge, ...]
    left_out: int  # entries beyond the limit


def neighbourhood(session: Session, entity: Entity, steps: int = 1, limit: int = 300) -> Neighbourhood:
    """What lies within STEPS links of ENTITY, whichever way the links point; at most LIMIT entries, the nearest."""
    distance = {entity.id: 0}
    frontier = {entity.id}
    for step in range(1, steps + 1):
        touching = session.exec(
            select(Link).where(or_(col(Link.source_id).in_(frontier), col(Link.target_id).in_(frontier)))
        )
        frontier = {end for link in touching for end in (link.source_id, link.target_id)} - distance.keys()
        distance |= dict.fromkeys(frontier, step)
    entities = {row.id: row for row in session.exec(select(Entity).where(col(Entity.id).in_(distance)))}
    kept = sorted(entities.values(), key=lambda row: (distance[row.id], row.slug))[:limit]
    ids = {row.id for row in kept}
    links = session.exec(
        select(Link).where(col(Link.source_id).in_(ids), col(Link.target_id).in_(ids)).order_by(col(Link.position))
    )
    said: dict[tuple[str, str, str], list[str]] = {}
    for link in links:
        ends = (entities[link.source_id].slug, entities[link.target_id].slug, link.type)
        said.setdefault(ends, []).extend([link.sentence] if link.sentence else [])
    return Neighbourhood(
        here=card(entity),
        nodes=tuple(map(card, kept)),
        steps={row.slug: distance[row.id] for row in kept},
        edges=tuple(
            Edge(source=a, target=b, type=kind, sentences=tuple(texts)) for (a, b, kind), texts in sorted(said.items())
        ),
        left_out=len(entities) - len(kept),
    )
