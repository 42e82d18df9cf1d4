"""The inbox: new papers beside the claims that they touch, to be attached, dismissed or put off, by mouse or by keys."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from claims import overview
from claims.impact import Leaning
from claims.papers import arrivals, filling
from claims.papers.arrivals import Group, Item, Paper
from claims.papers.filling import Filled
from claims.papers.inbox import NEWS, RELATIONS, Done
from claims.papers.triage import Match
from kb.latex import readable
from kb.text import sentence_spans
from stillholds.views import deciding, frame, marks
from stillholds.views.deciding import Visit
from stillholds.words import BESIDE, Mark, fresh_mark, marks_of, news_words, sentence, stance_words

MOUNT = "sh-inbox"
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


def page() -> None:
    """Draw the page."""
    slug = st.query_params.get("claim", "")
    said = "New papers beside the claims that they touch. Nothing is attached before you say so."
    above = f"{escape(said)} {frame.anchor('/inbox', 'All claims')}" if slug else escape(said)
    frame.title("Inbox", above)
    _live(slug)


@st.fragment
def _live(slug: str) -> None:
    """Draw what waits now, and what came of the last acts."""
    with frame.in_words():
        _mount(key=MOUNT, data={"frozen": frame.is_read_only()}, on_act_change=_hear)
        visit = deciding.here()
        with frame.store().reading() as session:
            groups = arrivals.inbox(session, frame.now(), slug or None, also=visit.claims)
            rows = {one.claim.id: overview.row(session, one.claim.id, frame.now()) for one in groups}
            nothing = "" if any(group.items for group in groups) else _nothing(filling.filled(session, slug))
        frame.html(f"<div class='in-page'>{_help(groups)}{_refused(visit)}</div>")
        with st.container():
            for group in groups:  # each alone, so that an act draws only its own claim anew
                frame.html(_group(group, _marks(rows[group.claim.id]), visit))
            if nothing:
                frame.empty(nothing)
        frame.html(_heard(visit))


def _hear() -> None:
    """Do what was sent. This is a callback: it is done even where who sent it has walked on to another page."""
    text = st.session_state[MOUNT].act
    if text and not frame.is_read_only():
        deciding.hear(text)


# --- where nothing waits ----------------------------------------------------------------------------------------------


def _nothing(filled: Filled) -> str:
    """Say why nothing waits, and what to do."""
    queries, papers = filled.queries, filled.papers
    ask = "Keep a question, for example with: stillholds queries add NAME --words 'entropy collapse'; then: stillholds pull"
    more = "Bring more with: stillholds pull" if queries else ask
    if not papers and not queries:
        return f"Nothing waits, for nothing is asked of arXiv yet. {ask}"
    if not papers and not filled.was_pulled:
        return "Nothing waits, for arXiv was not asked yet. Ask it with: stillholds pull"
    if not papers:
        return "Nothing waits, for arXiv had nothing for what it was asked. See what that is with: stillholds queries"
    came = f"{papers} {'paper' if papers == 1 else 'papers'}"
    if filled.was_decided:
        return f"Nothing waits: all that is worth a look among {came} was decided or put off. {more}"
    if filled.was_matched:
        return f"Nothing waits, for nothing among {came} is worth a look. See how they were matched with: stillholds triage --all"
    return f"Nothing waits, for {came} came and were not matched to claims yet. Match, or learn what is missing, with: stillholds pull"


# --- what came of it --------------------------------------------------------------------------------------------------


def _heard(visit: Visit) -> str:
    """Tell the browser which acts were answered. It is drawn last: by then the rows are as it says."""
    trail = " ".join(str(one.number) for one in visit.trail)
    back = visit.said[-1].done[-1:] if visit.said else ()
    at = "".join(f"{one.claim.id} {one.arxiv}" for one in back if one.kind == "undone")
    at = escape(at, quote=True)
    return f"<div class='in-heard' hidden data-heard='{visit.heard}' data-trail='{trail}' data-back='{at}'></div>"


def _refused(visit: Visit) -> str:
    if not visit.refused:
        return ""
    glyph = marks.glyph(Mark("", "error", "ink", ""))
    said = "".join(f"<p>{glyph} {escape(sentence(one))}</p>" for one in visit.refused)
    return f"<div class='in-done' role='status'>{said}</div>"


def _said(visit: Visit, claim_id: str) -> str:
    """What came of the last acts for one claim: whether it is due now, and what leans on it."""
    back = {one.seq for one in visit.done if one.claim.id == claim_id and one.kind == "undone"}
    mine = [one for one in visit.done if one.claim.id == claim_id and (one.kind == "undone" or one.seq not in back)]
    if not mine:
        return ""
    said = "".join(f"<p>{_what(one)}</p>" for one in mine)
    due = [one for one in mine if one.due]
    said += "".join(f"<p>{marks.html(Mark('', 'due', 'ink', 'DUE'))} because {escape(one.due)}.</p>" for one in due)
    said += "".join(f"<p>Not due: {escape(sentence(one.not_due))}</p>" for one in mine if one.not_due)
    if told := [one for one in mine if one.due or one.not_due]:
        said += _leaning(told[0].leaning)
    return f"<div class='in-done' role='status'>{said}{_undo(visit, mine)}</div>"


def _undo(visit: Visit, mine: Sequence[Done]) -> str:
    """The button of what `u` does, beside what it is about."""
    last = [(one.claim.id, one.seq) for one in visit.trail[-1].done] if visit.trail else []
    is_last = any((one.claim.id, one.seq) in last for one in mine if one.kind != "undone")
    if not last or not (is_last or any(one.kind == "undone" for one in mine)):
        return ""
    label = "Undo" if is_last else "Undo the one before"
    return f"<button type='button' data-act='undo'>{label} <kbd>u</kbd></button>"


def _what(one: Done) -> str:
    word = {"attached": "Attached", "dismissed": "Dismissed", "snoozed": "Put off", "undone": "Taken back"}[one.kind]
    if one.kind == "attached":
        word = f"Taken note, {one.relation}" if one.relation in NEWS else f"Attached as {BESIDE[one.relation]}"
    title = f"<span class='sh-theirs'>{escape(readable(one.title))}</span>"
    return f"<b>{escape(word)}:</b> {title} <span class='sh-soft sh-small'>arXiv:{escape(one.arxiv)}</span>"


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
    """What the keys do, and their switch: not everybody can do without letters that act by themselves."""
    if not any(group.items for group in groups):
        return ""
    if frame.is_read_only():
        return "<p class='sh-small sh-soft'>The app runs read-only: nothing can be decided here.</p>"
    said = " &ensp; ".join(
        f"{' '.join(f'<kbd>{key}</kbd>' for key in keys.split())} {escape(what)}" for keys, what in HELP.items()
    )
    switch = "<span class='in-keys'>Turn the keys off</span><span class='in-no-keys'>Turn the keys on</span>"
    button = f"<button type='button' data-act='turn'>{switch}</button>"
    return f"<p class='sh-small sh-soft wide'><span class='in-keys'>{said} &ensp; </span>{button}</p>"


def _marks(row: overview.Row) -> str:
    shown = [*marks_of(row.standing), *([fresh_mark(row.freshness, frame.now())] if row.freshness else [])]
    return " &ensp; ".join(map(marks.html, shown))


def _group(group: Group, beside: str, visit: Visit) -> str:
    more = f" <span>{group.more} more wait</span>" if group.more else ""
    head = f"<h2 class='sh-h'>{frame.link(group.claim)}{more}</h2><p class='sh-small'>{beside}</p>"
    items = "".join(_item(group.claim.id, item) for item in group.items)
    return f"<section>{head}{_said(visit, group.claim.id)}<div>{items}</div></section>"


def _item(claim_id: str, item: Item) -> str:
    """A paper beside a claim."""
    pair = escape(f"{claim_id} {item.paper.arxiv}", quote=True)
    news = f"<p><b>{escape(news_words(item.news))}.</b></p>" if item.news else ""
    said = news or (_match(item.match, item) if item.match else "")
    guess, title = escape(_guess(item), quote=True), escape(readable(item.paper.title), quote=True)
    return (
        f"<div class='in-row' role='article' tabindex='-1' aria-label='{title}' data-pair='{pair}' data-guess='{guess}'>"
        f"<p class='in-title'>{_title(item.paper)}</p>"
        f"<p class='sh-small sh-soft'>{_facts(item.paper)}</p>{said}<div class='in-acts'>{_buttons(item)}</div></div>"
    )


def _title(paper: Paper) -> str:
    """A link that is made of the id alone."""
    address = escape(paper.address, quote=True)
    title = f"<span class='sh-theirs'>{escape(readable(paper.title))}</span>"
    return f"<a style='color:inherit' href='{address}' target='_blank' rel='noopener noreferrer'>{title}</a>"


def _facts(paper: Paper) -> str:
    names = ", ".join(paper.authors[:AUTHORS]) + (" and others" if len(paper.authors) > AUTHORS else "")
    withdrawn = ", withdrawn" if paper.is_withdrawn else ""
    facts = f"{paper.published_at:%d %B %Y} · arXiv:{escape(paper.arxiv)}v{paper.version}{withdrawn}"
    return f"<span class='sh-theirs'>{escape(readable(names))}</span> · {facts}"


def _match(match: Match, item: Item) -> str:
    stance = escape(sentence(stance_words(match)).removesuffix("."))
    stance = stance if match.says == "unsure" else f"<b>{stance}</b>"
    parts = [("score", match.score), *match.parts.model_dump().items()]
    bars = "".join(f"<span>{escape(name)}{_bar(value)}{value:.2f}</span>" for name, value in parts)
    bearing = f"<p class='sh-small'>{escape(sentence(item.bearing))}</p>" if item.bearing else ""
    return (
        f"<p class='in-text sh-theirs'>{_span(item.abstract, match)}</p>"
        f"<p class='sh-small'>{stance}. {escape(sentence(match.reason))}</p>{bearing}"
        f"<p class='sh-small sh-soft in-parts'>{bars}</p>"
    )


def _bar(value: float) -> str:
    return f"<span class='in-bar'><i style='width:{100 * min(1.0, max(0.0, value)):.0f}%'></i></span>"


def _span(abstract: str, match: Match) -> str:
    """The words that made the match, marked in their sentence, with the sentence before and after; the whole abstract where
    they no longer stand there, for it was revised.
    """
    start, end = match.span_start, match.span_end
    if not match.span or abstract[start:end] != match.span:
        return escape(readable(abstract))
    spans = sentence_spans(abstract)
    touched = [number for number, (first, last) in enumerate(spans) if first < end and last > start]
    first = spans[max(0, touched[0] - 1)][0] if touched else start
    last = spans[min(len(spans) - 1, touched[-1] + 1)][1] if touched else end
    before, after = abstract[first:start], abstract[end:last]
    return f"{_part(before)}<mark>{_part(match.span)}</mark>{_part(after)}"


def _part(text: str) -> str:
    """A part of a text, with the space that parts it from its neighbours."""
    first, last = (" " if text[at : at + 1].isspace() else "" for at in (0, len(text) - 1))
    return f"{first}{escape(readable(text))}{last}"


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
