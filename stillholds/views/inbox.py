"""The inbox: new papers beside the claims that they touch, to be attached, dismissed or put off, by mouse or by keys."""

from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Annotated, Any, Literal, cast

import streamlit as st
from pydantic import Field, ValidationError

from claims import overview
from claims.errors import CannotSay
from claims.impact import Leaning
from claims.ledger import Relation
from claims.papers import arrivals, inbox
from claims.papers.arrivals import Group, Item, Paper
from claims.papers.inbox import NEWS, RELATIONS, Attach, Deed, Dismiss, Done, Snooze
from claims.papers.triage import Match
from kb.errors import NotFound
from kb.latex import readable
from kb.text import sentence_spans
from stillholds import options
from stillholds.views import frame, marks
from stillholds.words import Mark, fresh_mark, marks_of, sentence, stance_words
from verifiers.measurement import Value

DONE, STAMP = "inbox-done", "inbox-stamp"
AUTHORS = 3  # named before "and others"
KEYS = {"supports": "s", "contradicts": "c", "qualifies": "q", "extends": "e", "supersedes": "p"}
HELP = {
    "j k": "move",
    "a": "attach as guessed",
    "s c q e p": "as supporting, contradicting, qualifying, extending, superseding",
    "d": "dismiss",
    "z": "put off",
    "x": "pick several",
    "u": "undo",
}

_mount = st.components.v2.component("stillholds.inbox", js="inbox.js", html="<span></span>", isolate_styles=False)


class Asked(Value):
    """What the browser asks for; the words of a stranger until the ledger takes them."""

    act: Literal["attach", "dismiss", "snooze", "undo"]
    pairs: Annotated[tuple[tuple[str, str], ...], Field(max_length=1000)] = ()  # claim (id) and arXiv id
    relation: str = ""
    reason: str = ""
    days: Annotated[int, Field(ge=1, le=3650)] = 14


class Outcome(Value):
    """What came of the last act: what was done, or why it was not."""

    done: tuple[Done, ...] = ()
    refused: str = ""

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims (ids) that it was about, each once."""
        return tuple(dict.fromkeys(one.claim.id for one in self.done))

    @property
    def can_undo(self) -> bool:
        """Whether it can be taken back."""
        return any(one.kind != "undone" for one in self.done)


def page() -> None:
    """Draw the page."""
    slug = st.query_params.get("claim", "")
    said = "New papers beside the claims that they touch. Nothing is attached before you say so."
    above = f"{escape(said)} {frame.anchor('/inbox', 'All claims')}" if slug else escape(said)
    frame.title("Inbox", above)
    _live(slug)


@st.fragment
def _live(slug: str) -> None:
    """Answer the act that was asked for since the last run, and draw what waits now."""
    heard = _mount(key="sh-inbox", data={"frozen": frame.is_read_only()}, on_act_change=lambda: None)
    if heard.act and not frame.is_read_only():
        st.session_state[DONE] = _answered(heard.act, st.session_state.get(DONE, Outcome()))
        st.session_state[STAMP] = st.session_state.get(STAMP, 0) + 1
    outcome: Outcome = st.session_state.get(DONE, Outcome())
    with frame.store().reading() as session:
        try:
            groups = arrivals.inbox(session, frame.now(), slug or None, also=outcome.claims)
        except NotFound as error:
            frame.failure(str(error), near=error.near)
        rows = {one.claim.id: overview.row(session, one.claim.id, frame.now()) for one in groups}
        known = arrivals.known(session)
    frame.html(f"<div class='in-page'>{_help(groups)}{_refused(outcome)}</div>")
    for group in groups:  # each alone, so that an act draws only its own claim anew
        frame.html(_group(group, _marks(rows[group.claim.id]), outcome))
    if not any(group.items for group in groups):
        frame.empty(_nothing(known))


def _nothing(known: arrivals.Known) -> str:
    """What to do where nothing waits."""
    if not known.queries:
        return (
            "Nothing waits, for nothing is asked of arXiv yet. Keep a question, for example with: stillholds queries add "
            "NAME --words 'entropy collapse'; then: stillholds pull"
        )
    return f"Nothing waits: all that is worth a look among {known.papers} papers was decided. Bring more with: stillholds pull"


# --- acts -------------------------------------------------------------------------------------------------------------


def _answered(text: str, last: Outcome) -> Outcome:
    """Do what was asked, or say why not."""
    try:
        asked = Asked.model_validate_json(text)
        if asked.act == "undo":
            return _undone(last)
        done = inbox.many(frame.store(), asked.pairs, _deed(asked), options.me(), frame.now())
        return Outcome(done=tuple(done))
    except ValidationError:
        return Outcome(refused="that is nothing that can be done to a paper; nothing was changed")
    except (CannotSay, NotFound) as error:
        return Outcome(refused=f"nothing was changed: {error}")


def _undone(last: Outcome) -> Outcome:
    acts = [(one.claim.id, one.seq) for one in reversed(last.done) if one.kind != "undone"]
    if not acts:
        return Outcome(
            refused="nothing was done here that could be taken back; `stillholds triage undo CLAIM` goes back further"
        )
    return Outcome(done=tuple(inbox.undo_many(frame.store(), acts, options.me(), frame.now())))


def _deed(asked: Asked) -> Deed:
    match asked.act:
        case "dismiss":
            return Dismiss(reason=asked.reason)
        case "snooze":
            return Snooze(until=frame.now() + timedelta(days=asked.days))
        case _:
            return Attach(relation=cast(Relation, asked.relation))  # checked by the model


# --- what came of it --------------------------------------------------------------------------------------------------


def _refused(outcome: Outcome) -> str:
    if not outcome.refused:
        return ""
    glyph = marks.glyph(Mark("", "error", "ink", ""))
    return f"<div class='in-done' role='status' data-stamp='{_stamp()}'><p>{glyph} {escape(sentence(outcome.refused))}</p></div>"


def _stamp() -> int:
    return int(st.session_state.get(STAMP, 0))


def _outcome(outcome: Outcome, claim_id: str) -> str:
    """What came of the last act for one claim: whether it is due now, and what leans on it."""
    mine = [one for one in outcome.done if one.claim.id == claim_id]
    if not mine:
        return ""
    said = "".join(f"<p>{_what(one)}</p>" for one in mine)
    due = [one for one in mine if one.due]
    said += "".join(f"<p>{marks.html(Mark('', 'due', 'ink', 'DUE'))} because {escape(one.due)}.</p>" for one in due)
    said += "".join(f"<p>Not due: {escape(sentence(one.not_due))}</p>" for one in mine if one.not_due)
    if any(one.due or one.not_due for one in mine):
        said += _leaning(mine[0].leaning)
    undo = "<button type='button' data-act='undo'>Undo <kbd>u</kbd></button>" if outcome.can_undo else ""
    return f"<div class='in-done' role='status' data-stamp='{_stamp()}'>{said}{undo}</div>"


def _what(one: Done) -> str:
    word = {"attached": "Attached", "dismissed": "Dismissed", "snoozed": "Put off", "undone": "Taken back"}[one.kind]
    if one.kind == "attached":
        word = f"Taken note, {one.relation}" if one.relation in NEWS else f"Attached as {one.relation}"
    return f"<b>{escape(word)}:</b> {escape(readable(one.title))} <span class='sh-soft sh-small'>arXiv:{escape(one.arxiv)}</span>"


def _leaning(leaning: Sequence[Leaning]) -> str:
    if not leaning:
        return "<p class='sh-soft'>Nothing leans on this claim.</p>"
    entries = [_leans(one) for one in leaning]
    return f"<p>What leans on it ({len(entries)}):</p>{frame.listing(entries)}"


def _leans(one: Leaning) -> str:
    over = " and ".join(frame.link(hop.other, hop.other.label) for hop in one.path[:-1])
    prompt = ", and its research prompt" if one.has_prompt else ""
    how = f"{escape(one.other.kind)}{f', over {over}' if over else ''}"
    told = f"<br><span class='sh-small'>{escape(one.path[-1].sentence)}</span>" if one.path[-1].sentence else ""
    return f"{frame.link(one.other)}{prompt} <span class='sh-small sh-soft'>{how}</span>{told}"


# --- one claim --------------------------------------------------------------------------------------------------------


def _help(groups: Sequence[Group]) -> str:
    if not any(group.items for group in groups):
        return ""
    if frame.is_read_only():
        return "<p class='sh-small sh-soft'>The app runs read-only: nothing can be decided here.</p>"
    said = " &ensp; ".join(
        f"{' '.join(f'<kbd>{key}</kbd>' for key in keys.split())} {escape(what)}" for keys, what in HELP.items()
    )
    return f"<p class='sh-small sh-soft wide'>{said}</p>"


def _marks(row: overview.Row) -> str:
    shown = [*marks_of(row.standing), *([fresh_mark(row.freshness, frame.now())] if row.freshness else [])]
    return " &ensp; ".join(map(marks.html, shown))


def _group(group: Group, beside: str, outcome: Outcome) -> str:
    more = f" <span>{group.more} more wait</span>" if group.more else ""
    head = f"<h2 class='sh-h'>{frame.link(group.claim)}{more}</h2><p class='sh-small'>{beside}</p>"
    items = "".join(_item(group.claim.id, item) for item in group.items)
    return f"<section>{head}{_outcome(outcome, group.claim.id)}<div>{items}</div></section>"


def _item(claim_id: str, item: Item) -> str:
    """A paper beside a claim."""
    pair = escape(f"{claim_id} {item.paper.arxiv}", quote=True)
    said = _news(item) if item.news else _match(item.match, item) if item.match else ""
    guess = escape(_guess(item), quote=True)
    return (
        f"<div class='in-row' data-pair='{pair}' data-guess='{guess}'><p class='in-title'>{_title(item.paper)}</p>"
        f"<p class='sh-small sh-soft'>{_facts(item.paper)}</p>{said}<div class='in-acts'>{_buttons(item)}</div></div>"
    )


def _title(paper: Paper) -> str:
    """A link that is made of the id alone."""
    address = escape(paper.address, quote=True)
    return f"<a style='color:inherit' href='{address}' target='_blank' rel='noopener noreferrer'>{escape(readable(paper.title))}</a>"


def _facts(paper: Paper) -> str:
    names = ", ".join(paper.authors[:AUTHORS]) + (" and others" if len(paper.authors) > AUTHORS else "")
    withdrawn = ", withdrawn" if paper.is_withdrawn else ""
    return f"{escape(names)} · {paper.published_at:%d %B %Y} · arXiv:{escape(paper.arxiv)}v{paper.version}{withdrawn}"


def _news(item: Item) -> str:
    """What became of a paper that the claim rests on."""
    words = {
        "new version": "has a new version",
        "withdrawn": "was withdrawn",
        "returned": "is back from withdrawal",
    }
    if item.news is None:
        return ""
    return f"<p><b>The claim rests on this paper, which {words[item.news.event]}</b> (version {item.news.version}).</p>"


def _match(match: Match, item: Item) -> str:
    stance = escape(sentence(stance_words(match)).removesuffix("."))
    stance = stance if match.says == "unsure" else f"<b>{stance}</b>"
    parts = [("score", match.score), *match.parts.model_dump().items()]
    bars = "".join(f"<span>{escape(name)}{_bar(value)}{value:.2f}</span>" for name, value in parts)
    bearing = f"<p class='sh-small'>{escape(sentence(item.bearing))}</p>" if item.bearing else ""
    return (
        f"<p class='in-text'>{_span(item.abstract, match)}</p>"
        f"<p class='sh-small'>{stance}. {escape(sentence(match.reason))}</p>{bearing}"
        f"<p class='sh-small sh-soft in-parts'>{bars}</p>"
    )


def _bar(value: float) -> str:
    return f"<span class='in-bar'><i style='width:{100 * min(1.0, max(0.0, value)):.0f}%'></i></span>"


def _span(abstract: str, match: Match) -> str:
    """The words that made the match, marked in their sentence, with the sentence before and after."""
    start, end = match.span_start, match.span_end
    if not 0 <= start < end <= len(abstract):
        return escape(abstract[:400])
    spans = sentence_spans(abstract)
    touched = [number for number, (first, last) in enumerate(spans) if first < end and last > start]
    first = spans[max(0, touched[0] - 1)][0] if touched else start
    last = spans[min(len(spans) - 1, touched[-1] + 1)][1] if touched else end
    before, after = abstract[first:start], abstract[end:last]
    return f"{escape(before)}<mark>{escape(abstract[start:end])}</mark>{escape(after)}"


def _guess(item: Item) -> str:
    """What `attach as guessed` means; nothing where the guess is no relation, or not sure."""
    if item.news:
        return item.news.event
    return item.match.says if item.match and item.match.says in RELATIONS else ""


def _buttons(item: Item) -> str:
    off = " disabled" if frame.is_read_only() else ""
    guess = _guess(item)
    if item.news:
        first = [("Take note", guess, "a")]
    else:
        first = [(f"Attach: {name}" if name == guess else name, name, KEYS[name]) for name in RELATIONS]
    shown = [_button(off, "attach", label, key, relation, first=relation == guess) for label, relation, key in first]
    rest: list[tuple[str, str, str]] = [
        ("dismiss", "Dismiss …", "d"),
        ("snooze", "Later …", "z"),
        ("pick", "Pick", "x"),
    ]
    return "".join([*shown, *(_button(off, act, label, key) for act, label, key in rest)])


def _button(off: str, act: str, label: str, key: str, relation: str = "", **shown: Any) -> str:
    kind = " class='in-first'" if shown.get("first") else ""
    said = f" data-relation='{escape(relation, quote=True)}'" if relation else ""
    return f"<button type='button'{kind} data-act='{act}'{said}{off}>{escape(label)} <kbd>{key}</kbd></button>"
