"""Papers that the library names: are they what it takes them for, and how are they cited. Only typer is imported at the
top.
"""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from stillholds.commands.common import ExitCode, JsonOption, StoreOption, answer, now, open_store
from stillholds.commands.timeline import WhoOption, who_says

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claims.papers.grounding import Ground, State
    from claims.papers.looking_up import Answered
    from kb.store import Store

DAYS = 30
PATIENCE = (5.0, 20.0)  # somebody waits for the answer: one more attempt, and then what is known


def papers_named(incomplete: str) -> list[str]:
    """Complete the slug of a paper; silent when there is no library."""
    try:
        from kb.read import cards

        with open_store(None).reading() as session:
            return [card.slug for card in cards(session, "paper") if card.slug.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a shell that completes must never print a traceback
        return []


def ground(
    entries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PAPER-OR-ENTRY...",
            help="Slugs or arXiv ids of papers, or slugs of entries that name some. Default: all papers that are named.",
            autocompletion=papers_named,
            show_default=False,
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody: show what is known.")] = False,
    days: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Ask again about what was checked longer ago than this. Default: 30, and 0 for papers that you name.",
            show_default=False,
        ),
    ] = None,
    accept: Annotated[
        str | None,
        typer.Option(
            metavar="ARXIV-ID",
            help="Say that the one PAPER, which pages name by its title, is this one at arXiv.",
            show_default=False,
        ),
    ] = None,
    who: WhoOption = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="End with code 3 if a paper is one of these: missing, withdrawn, differs (its title), later (than the "
            "statement that rests on it), newer (version), proposed (no id, candidates only), unchecked.",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every paper that a note, line, prompt or claim names: whether its id exists, its title is the one that pages
    give, it is older than what rests on it, has a newer version, or was withdrawn. Titles without an id are looked for,
    and what is found is proposed, never assumed.

    It ends with 1 where arXiv could not be asked; what is known is shown all the same. JSON: asked, problem, gate, passed,
    counts, papers (slug, title, titles, arxiv, date, state, findings with both texts and `by`, the entry that each is
    about, named_by, arxiv_says, events, proposals, accepted_by, checked_at, met).
    """
    from stillholds import grounding

    gate = _gate(fail_on)
    opened = open_store(store)
    if accept is not None:
        _accept(opened, entries or [], accept, who, offline=offline, as_json=as_json)
        return
    answered = None if offline else _asked(opened, entries or [], days)
    found = _read(opened, entries or [])
    if answered is not None and not as_json:
        grounding.asked(answered)
    answer(grounding.said(found, answered, gate), as_json, lambda _: grounding.table(found))
    if any(one.has(gate) for one in found):
        raise typer.Exit(ExitCode.GATE)
    if answered is not None and answered.problem:
        raise typer.Exit(ExitCode.FAILED)


def _gate(said: str | None) -> "frozenset[State]":
    import difflib

    from claims.papers.grounding import GATE, STATES

    known = GATE | {state.replace(" ", "-"): state for state in STATES if state != "grounded"}
    names = ["-".join(part.lower().replace("_", "-").split()) for part in (said or "").split(",") if part.strip()]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there is: {', '.join(GATE)}"
        raise typer.BadParameter(f"no paper can be {unknown!r}; {hint}", param_hint="--fail-on")
    return frozenset(known[name] for name in names)


def _read(store: "Store", entries: "Sequence[str]") -> "list[Ground]":
    """What holds of all papers, or of those that ENTRIES mean and name."""
    from claims.papers import naming

    with store.reading() as session:
        return naming.chosen(session, entries) if entries else naming.grounds(session)


def _papers(store: "Store", entries: "Sequence[str]") -> list[str]:
    """Those of ENTRIES that are papers, not pages that name some."""
    from kb.read import find
    from kb.sources.arxiv_id import versioned

    with store.reading() as session:
        return [name for name in entries if versioned(name) or find(session, name).kind == "paper"]


def _asked(store: "Store", entries: "Sequence[str]", days: float | None) -> "Answered | None":
    from claims.papers import looking_up
    from kb.sources.arxiv import Arxiv
    from stillholds import grounding

    named = [] if days is not None else _papers(store, entries)  # who names a paper wants to know now
    asked = looking_up.wanted(_read(store, entries), now(), DAYS if days is None else days)
    if named:
        asked = looking_up.both(looking_up.wanted(_read(store, named), now(), 0), asked)
    if not asked.total:
        return None
    with grounding.watching() as terminal:
        return looking_up.look_up(store, Arxiv(waiting=terminal.waiting, pauses=PATIENCE), asked, now, terminal.report)


def _accept(
    store: "Store", entries: "Sequence[str]", arxiv_id: str, who: str | None, *, offline: bool, as_json: bool
) -> None:
    from claims.papers import looking_up
    from kb.sources.arxiv import Arxiv
    from stillholds import grounding

    if len(entries) != 1:
        raise typer.BadParameter("name the one paper that it is: stillholds ground PAPER --accept ARXIV-ID")
    arxiv = None if offline else Arxiv(pauses=PATIENCE)
    done = looking_up.accept(store, entries[0], arxiv_id, who_says(who), now(), arxiv)
    answer(done.model_dump(mode="json"), as_json, lambda _: grounding.accepted(done))


def cite(
    papers: Annotated[
        list[str] | None,
        typer.Argument(metavar="PAPER...", help="Slugs or arXiv ids.", autocompletion=papers_named, show_default=False),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="bibtex, or csl (CSL-JSON).", autocompletion=lambda: ["bibtex", "csl"])
    ] = "bibtex",
    all_: Annotated[bool, typer.Option("--all", help="All papers that the library names.")] = False,
    of: Annotated[
        str | None, typer.Option(metavar="SLUG", help="The papers that this entry names.", show_default=False)
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write papers as BibTeX or CSL-JSON to the standard output: as arXiv has them, else as far as pages say. Nobody is
    asked; `stillholds ground` fills in what is missing.
    """
    from claims.papers import citations
    from stillholds import citing

    if form not in citing.FORMS:
        raise typer.BadParameter(f"{form!r} is no format: bibtex or csl", param_hint="--format")
    if not (papers or all_ or of):
        raise typer.BadParameter("name papers, or say --of SLUG or --all")
    with open_store(store).reading() as session:
        found = citations.everything(session) if all_ else citations.chosen(session, papers or [], of)
    sys.stdout.write(citing.FORMS[form].write(found))
