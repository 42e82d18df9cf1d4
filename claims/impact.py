"""What leans on a claim: every note, line and claim that says it, or leans on something that does, with the path."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlmodel import Session, col, select

from kb.models import Entity, Line, Link
from kb.read import Card, card
from verifiers.measurement import Value

CARRIES = ("states", "leans_on", "extends", "cites")  # from who leans to what is leaned on; the other types only relate


class Hop(Value):
    """One step of a path: who leans, how, and the sentence that does."""

    other: Card
    type: str
    sentence: str


class Leaning(Value):
    """An entry that leans on a claim, through as few steps as there are: the path begins at the claim."""

    other: Card
    has_prompt: bool  # a line whose research prompt rests on the same
    path: tuple[Hop, ...]


class Leans:
    """The links that carry a lean, read once; asked for one claim after the other."""

    def __init__(self, links: Sequence[Link], cards: Mapping[str, Card], prompts: frozenset[str]) -> None:
        self._cards, self._prompts = cards, prompts
        self._on: dict[str, list[Link]] = defaultdict(list)  # by what is leaned on
        for link in links:
            self._on[link.target_id].append(link)

    @classmethod
    def read(cls, session: Session) -> "Leans":
        """Those of a library."""
        query = select(Link).where(col(Link.type).in_(CARRIES)).order_by(col(Link.position), col(Link.id))
        links = session.exec(query).all()
        cards = {row.id: card(row) for row in session.exec(select(Entity))}
        prompts = frozenset(session.exec(select(Line.id).where(col(Line.prompt).is_not(None))))
        return cls(links, cards, prompts)

    def on(self, entity_id: str) -> tuple[Leaning, ...]:
        """Everything that leans on an entry, the nearest first; each once, and in a circle nothing twice."""
        paths: dict[str, tuple[Hop, ...]] = {entity_id: ()}
        frontier = [entity_id]
        while frontier:
            reached = []
            for here in frontier:
                for link in self._on[here]:
                    if link.source_id not in paths:
                        hop = Hop(other=self._cards[link.source_id], type=link.type, sentence=link.sentence)
                        paths[link.source_id] = (*paths[here], hop)
                        reached.append(link.source_id)
            frontier = reached
        del paths[entity_id]
        return tuple(
            Leaning(other=self._cards[found], has_prompt=found in self._prompts, path=path)
            for found, path in paths.items()
        )
