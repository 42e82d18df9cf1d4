"""What people see of papers in a terminal: those that came, the inbox, and what came of an act."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from claims.papers.arrivals import Arrival, Beside, Group, Item
from claims.papers.inbox import Done
from claims.papers.triage import Match
from kb.latex import readable
from stillholds.feeds import in_a_line
from stillholds.words import news_words, parts_words, stance_words

NOTHING_CAME = "No paper has come yet. `stillholds queries add` keeps a question, `stillholds pull` asks arXiv."
NOTHING_WAITS = "Nothing waits. `stillholds pull` asks arXiv for what is new; `stillholds papers` shows what came."
BECAME = {"new": "in the inbox of", "attached": "attached to", "dismissed": "dismissed for", "snoozed": "put off for"}
MOST_NAMED = 3  # claims of which the same became; --json has all


def arrivals(out: Console, found: Sequence[Arrival]) -> None:
    """The papers that came."""
    if not found:
        out.print(NOTHING_CAME)
    for one in found:
        head = Text(f"{one.paper.arxiv}v{one.paper.version}", style="bright_black").append("  ")
        head.append(readable(one.paper.title), style="bold default")
        out.print(head)
        withdrawn = ["withdrawn"] if one.paper.is_withdrawn else []
        by = [f"by {', '.join(one.queries)}"] if one.queries else []
        facts = [*withdrawn, f"came {one.seen_at:%Y-%m-%d %H:%M}", *by, *_became(one.beside)]
        out.print(Padding(Text(" · ".join(facts), style="bright_black"), (0, 0, 0, 2)))


def _became(beside: Sequence[Beside]) -> list[str]:
    """What became of a paper, the claims of which the same became together."""
    claims: dict[tuple[str, str], list[str]] = {}
    for one in beside:
        until = f" until {one.until:%Y-%m-%d}" if one.state == "snoozed" and one.until else ""
        claims.setdefault((BECAME[one.state], until), []).append(one.claim)
    return [f"{word} {_few(slugs)}{until}" for (word, until), slugs in claims.items()]


def _few(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def inbox(out: Console, groups: Sequence[Group]) -> None:
    """What waits, claim by claim."""
    if not groups:
        out.print(NOTHING_WAITS)
    for group in groups:
        out.print(Text(group.claim.title, style="bold").append(f"  {group.claim.slug}", style="not bold bright_black"))
        for item in group.items:
            out.print(Padding(_item(item), (0, 0, 1, 2)))
        if group.more:
            out.print(Padding(Text(f"{group.more} more: --limit, --all", style="bright_black"), (0, 0, 1, 2)))


def _item(item: Item) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right", min_width=4)
    table.add_column(overflow="fold")
    title = Text(readable(item.paper.title)).append(
        f"  arXiv:{item.paper.arxiv}v{item.paper.version}", style="bright_black"
    )
    table.add_row(f"{item.rank}" if item.rank else "news", title)
    for said in _said(item):
        table.add_row("", said)
    return table


def _said(item: Item) -> list[Text]:
    if item.news:
        return [Text(news_words(item.news), style="bold")]
    match = item.match
    if match is None:
        return []
    quiet = [match.reason, f"“{readable(match.span)}”" if match.span else "", item.bearing]
    return [_scored(match), *(Text(part, style="bright_black") for part in quiet if part)]


def _scored(match: Match) -> Text:
    return Text(f"{match.score:.2f}  ").append(stance_words(match), style="bold").append(f"  ({parts_words(match)})")


def done(out: Console, acts: Sequence[Done]) -> None:
    """What came of acts: whether a claim is due now, and what leans on it."""
    for one in acts:
        out.print(f"{_what(one)} {one.claim.slug}: {readable(one.title)} (arXiv:{one.arxiv})", soft_wrap=True)
        if one.due:
            out.print(f"  {one.claim.slug} is DUE: {one.due}", soft_wrap=True)
        if one.not_due:
            out.print(f"  {one.claim.slug} is not due: {one.not_due}", soft_wrap=True)
    told = {one.claim.id: one for one in acts if one.due or one.not_due}
    for one in told.values():
        _leaning(out, one)


def _what(one: Done) -> str:
    if one.kind == "attached":
        return f"{one.relation}, attached to"
    return {"dismissed": "dismissed for", "snoozed": "put off for", "undone": "taken back on"}[one.kind]


def _leaning(out: Console, one: Done) -> None:
    if not one.leaning:
        out.print(f"  Nothing leans on {one.claim.slug}.")
        return
    out.print(f"  What leans on {one.claim.slug}:")
    for leaning in one.leaning:
        out.print(Padding(in_a_line(leaning), (0, 0, 0, 4)))
