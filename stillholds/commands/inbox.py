"""The papers that came and the inbox on the command line: what came, what waits beside which claim, and what people
make of it.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillholds.commands.common import JsonOption, StoreOption, answer, now, open_store, slugs
from stillholds.commands.timeline import ClaimArgument, WhoOption, who_says

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claims.papers.inbox import Deed, Done

triage_app = typer.Typer(help="New papers beside the claims that they touch: show, attach, dismiss, put off, undo.")

PapersArgument = Annotated[
    list[str], typer.Argument(metavar="PAPER...", help="arXiv ids, with or without a version.", show_default=False)
]
LimitOption = Annotated[int, typer.Option(min=1, help="At most so many.")]


def papers(
    query: Annotated[
        str | None, typer.Option(metavar="NAME", help="Those of one saved query.", show_default=False)
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Those of which nobody has said anything yet.")] = False,
    limit: LimitOption = 50,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the papers that came from arXiv, newest first, with the queries that brought them and what became of them.

    JSON: a list of paper (arxiv, version, title, authors, published_at, is_withdrawn), seen_at, queries, beside (claim,
    state, until).
    """
    from claims.papers import arrivals
    from stillholds import told

    with open_store(store, read_only=True).reading() as session:
        found = arrivals.arrivals(session, now(), limit, query, new=new)
    answer([one.model_dump(mode="json") for one in found], as_json, lambda out: told.arrivals(out, found))


@triage_app.callback(invoke_without_command=True)
def triage(
    context: typer.Context,
    claim: Annotated[
        str | None,
        typer.Option(metavar="SLUG", help="Those beside one claim.", autocompletion=slugs, show_default=False),
    ] = None,
    limit: LimitOption = 10,
    everything: Annotated[
        bool, typer.Option("--all", help="Beyond the ten a claim and week, and those that seem unrelated too.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what waits in the inbox, claim by claim: rank, score with its parts, stance where it is known, the sentence and
    the reason; for what may be a contradiction the run of ours that would bear on it.

    JSON: a list of claim, items (paper, abstract, state, until, rank, match: score, parts, span, span_start, span_end, stance,
    sureness, says, reason; news: event, version, relation; bearing), more.
    """
    if context.invoked_subcommand is not None:
        return
    from claims.papers import arrivals
    from stillholds import told

    with open_store(store, read_only=True).reading() as session:
        found = arrivals.inbox(session, now(), claim, limit, everything=everything)
    answer([one.model_dump(mode="json") for one in found], as_json, lambda out: told.inbox(out, found))


@triage_app.command()
def attach(
    claim: ClaimArgument,
    papers: PapersArgument,
    as_: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="RELATION",
            help="supports, contradicts, qualifies, extends, supersedes; new-version, withdrawn or returned takes note of news.",
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why; it goes into the ledger for good.")] = "",
    who: WhoOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Attach papers to a claim: all or none. One that speaks against the claim, or news of one that it rests on, makes it due;
    what leans on the claim is shown.
    """
    from typing import cast

    from claims.ledger import Relation
    from claims.papers.inbox import NEWS, RELATIONS, Attach

    relation = as_.strip().lower().replace("-", " ").replace("_", " ")
    if relation not in (*RELATIONS, *NEWS):
        known = ", ".join(one.replace(" ", "-") for one in (*RELATIONS, *NEWS))
        raise typer.BadParameter(f"{as_!r} is nothing that a paper can be: {known}", param_hint="--as")
    _do(store, claim, papers, Attach(relation=cast(Relation, relation), reason=reason), who, as_json)


@triage_app.command()
def dismiss(
    claim: ClaimArgument,
    papers: PapersArgument,
    reason: Annotated[str, typer.Option(help="Why; it goes into the ledger, and the ranking learns from it.")],
    who: WhoOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that papers are nothing to a claim: they never come back for it."""
    from claims.papers.inbox import Dismiss

    _do(store, claim, papers, Dismiss(reason=reason), who, as_json)


@triage_app.command()
def snooze(
    claim: ClaimArgument,
    papers: PapersArgument,
    days: Annotated[int, typer.Option(min=1, max=3650, help="After which they come back.")],
    who: WhoOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put papers off: they come back for this claim after some days."""
    from datetime import timedelta

    from claims.papers.inbox import Snooze

    _do(store, claim, papers, Snooze(until=now() + timedelta(days=days)), who, as_json)


@triage_app.command()
def undo(
    claim: ClaimArgument,
    entry: Annotated[
        int | None,
        typer.Option(
            min=1, help="The entry to take back, as `history` numbers them, whoever wrote it.", show_default=False
        ),
    ] = None,
    who: WhoOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back what you said last of papers beside this claim, of one or of many at once."""
    from claims.papers import inbox

    _answered(inbox.undo(open_store(store), claim, who_says(who), now(), entry), as_json)


def _do(store: str | None, claim: str, papers: "Sequence[str]", deed: "Deed", who: str | None, as_json: bool) -> None:
    from claims.papers import inbox

    pairs = [(claim, paper) for paper in papers]
    _answered(inbox.many(open_store(store), pairs, deed, who_says(who), now()), as_json)


def _answered(done: "Sequence[Done]", as_json: bool) -> None:
    from stillholds import present, told

    shown: list[dict[str, Any]] = [
        one.model_dump(mode="json", exclude={"leaning"}) | {"leaning": [present.leaning(on) for on in one.leaning]}
        for one in done
    ]
    answer(shown, as_json, lambda out: told.done(out, done))
