"""Marks on pages: one set of drawings on a 16 × 16 grid serves prose, tables, graph and plots; always with its word.

Streamlit keeps no inline SVG, so a glyph is cut out of the text's colour by a CSS mask.
"""

from html import escape
from urllib.parse import quote

from stillholds.words import Mark

_FRAME = "<path d='M1 4V1h3M12 1h3v3M15 12v3h-3M4 15H1v-3' fill='none' stroke='#000' stroke-width='1.5'/>"
_DIAL = "<circle cx='8' cy='8' r='6' fill='none' stroke='#000' stroke-width='1.6'{dash}/>"
_HANDS = "<path d='M8 4v4.2l2.6 1.6' fill='none' stroke='#000' stroke-width='1.8'/>"
_SHEET = "<path d='M3.5 1.5h9v13h-9z' fill='none' stroke='#000' stroke-width='1.5'{dash}/>"
_CORE = {
    "holds": "<circle cx='8' cy='8' r='{r}'/>",
    "smaller": "<path d='M{a} {t}H{b}L8 {u}Z'/>",
    "larger": "<path d='M{a} {u}H{b}L8 {t}Z'/>",
    "refuted": "<path d='M{a} {a}L{b} {b}M{b} {a}L{a} {b}' fill='none' stroke='#000' stroke-width='{w}'/>",
    "contested": "<path d='M8 {t}L{t} 8L8 {u}Z'/><path d='M8 {t}L{u} 8L8 {u}' fill='none' stroke='#000' stroke-width='1.6'/>",
    "open": "<circle cx='8' cy='8' r='{q}' fill='none' stroke='#000' stroke-width='2'/><circle cx='8' cy='8' r='1.8'/>",
    "untested": "<circle cx='8' cy='8' r='{q}' fill='none' stroke='#000' stroke-width='1.7' stroke-dasharray='2.6 2.1'/>",
}
_PLAIN = {
    "documentary": "<path d='M3.5 1.5h9v13h-9zM6 5h4M6 8h4M6 11h4' fill='none' stroke='#000' stroke-width='1.5'/>",
    "fresh": _DIAL.format(dash="") + "<path d='M8 8V2A6 6 0 1 1 2.3 9.8Z'/>",
    "due": _DIAL.format(dash="") + _HANDS,
    "stale": _DIAL.format(dash=" stroke-dasharray='3.1 2.2'") + _HANDS,
    "retired": _DIAL.format(dash="") + "<path d='M4.6 8h6.8' stroke='#000' stroke-width='2'/>",
    "decided": "<path d='M2 14l1-4L11.5 1.5l3 3L6 13z' fill='none' stroke='#000' stroke-width='1.5'/>",
    "inconclusive": "<path d='M1 8h14M1 5v6M15 5v6' stroke='#000' stroke-width='1.8'/>"
    "<path d='M8 2v12' stroke='#000' stroke-width='1.5' stroke-dasharray='2 1.5'/>",
    "void": "<circle cx='8' cy='8' r='5.8' fill='none' stroke='#000' stroke-width='1.8'/>"
    "<path d='M4 12L12 4' stroke='#000' stroke-width='1.8'/>",
    "error": "<path d='M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z' fill='none' stroke='#000' stroke-width='1.6'/>"
    "<path d='M8 4.2v4.6M8 10.4v1.8' stroke='#000' stroke-width='1.9'/>",
    "grounded": _SHEET.format(dash="")
    + "<path d='M5.4 8.2l2 2.2L10.8 6' fill='none' stroke='#000' stroke-width='1.7'/>",
    "differs": "<path d='M2.5 6h11M2.5 10h11M11 2.5L5 13.5' fill='none' stroke='#000' stroke-width='1.6'/>",
    "missing": _SHEET.format(dash=" stroke-dasharray='2.4 1.8'") + "<path d='M1.5 14.5L14.5 1.5' stroke='#000' "
    "stroke-width='1.8'/>",
    "unchecked": _SHEET.format(dash=" stroke-dasharray='2.4 1.8'"),
    "proposed": _SHEET.format(dash="") + "<path d='M6 6.2a2 2 0 1 1 2.7 1.9Q8 8.4 8 9.6M8 11v1.3' fill='none' "
    "stroke='#000' stroke-width='1.4'/>",
    "withdrawn": _SHEET.format(dash="") + "<path d='M5.4 8h5.2' stroke='#000' stroke-width='2'/>",
    "newer": _SHEET.format(dash="") + "<path d='M8 12V5M5.4 7.4L8 4.8l2.6 2.6' fill='none' stroke='#000' "
    "stroke-width='1.5'/>",
    "later": "<path d='M3 2h10M3 14h10M4 2l4 6-4 6M12 2L8 8l4 6' fill='none' stroke='#000' stroke-width='1.5'/>",
    "uncertified": "<path d='M8 1.2l5.9 3.4v6.8L8 14.8l-5.9-3.4V4.6z' fill='none' stroke='#000' stroke-width='1.5' "
    "stroke-dasharray='2.4 1.8'/>",
}
_FULL = {"r": 6.4, "q": 5.8, "a": 2.2, "b": 13.8, "t": 1.6, "u": 14.4, "w": 3.4}
_LAB = {"r": 3.6, "q": 3.3, "a": 4.3, "b": 11.7, "t": 4.2, "u": 11.8, "w": 2.2}

LAB_LOOKS = ("holds", "smaller", "larger", "refuted", "open")


def svg(look: str, *, is_lab: bool = False, colour: str = "#000") -> str:
    """The drawing of that name; in the laboratory's frame, smaller."""
    body = _CORE[look].format(**(_LAB if is_lab else _FULL)) if look in _CORE else _PLAIN[look]
    body = (body + (_FRAME if is_lab else "")).replace("#000", colour)
    return f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' width='16' height='16' fill='{colour}'>{body}</svg>"


def uri(look: str, *, is_lab: bool = False, colour: str = "#000") -> str:
    """The drawing as a data URI."""
    return "data:image/svg+xml;utf8," + quote(svg(look, is_lab=is_lab, colour=colour), safe="")


def css() -> str:
    """The rules that give each glyph's class its mask."""
    rules = [f'.g-{look}{{--g:url("{uri(look)}")}}' for look in (*_CORE, *_PLAIN)]
    rules += [f'.g-lab-{look}{{--g:url("{uri(look, is_lab=True)}")}}' for look in LAB_LOOKS]
    return "".join(rules)


def glyph(mark: Mark) -> str:
    """The glyph alone, as HTML."""
    return f"<i class='g g-{'lab-' if mark.is_lab else ''}{mark.look}'></i>"


def html(mark: Mark, *, big: bool = False, small_words: bool = False) -> str:
    """Glyph and word, as HTML; in prose the word is in lower case."""
    word = mark.word[0].lower() + mark.word[1:] if small_words else mark.word
    first, comma, rest = word.partition(", uncertified")
    tail = f"<span class='w2'>{comma}{rest}</span>" if comma else ""
    classes = " ".join(filter(None, ["mk", mark.hue, "lab" if mark.is_lab else "", "big" if big else ""]))
    return f"<span class='{classes}'>{glyph(mark)}{escape(first)}{tail}</span>"
