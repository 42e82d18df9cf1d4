"""A record to cite: a link that stays, everything as JSON, and the picture. Made from the store, needs nothing else."""

import json
from html import escape
from typing import Any

import streamlit as st

from claims import ledger
from claims.overview import Record
from kb.read import View
from stillholds.views import charts, frame
from stillholds.views.lists import mark_of_run
from stillholds.words import day, with_interval


@st.dialog("Cite this claim's newest run", width="large")
def dialog(view: View, record: Record) -> None:
    """What to copy and what to save."""
    from stillholds.views.claim import drawn

    whole = citation(view, record)
    frame.html(f"<p>{escape(whole['citation'])}</p>")
    st.code(whole["link"], language=None)
    name = f"{view.card.slug}-run-{record.runs[0].number}"
    save_json, save_png, save_svg = st.columns(3)
    save_json.download_button(
        "JSON", json.dumps(whole, indent=2, ensure_ascii=False), f"{name}.json", "application/json", width="stretch"
    )
    plots = drawn(record, charts.LIGHT)
    if plots:
        save_png.download_button(
            "Picture, PNG", lambda: charts.picture(plots, "png"), f"{name}.png", "image/png", width="stretch"
        )
        save_svg.download_button(
            "Picture, SVG", lambda: charts.picture(plots, "svg"), f"{name}.svg", "image/svg+xml", width="stretch"
        )


def citation(view: View, record: Record) -> dict[str, Any]:
    """Everything that somebody without this library needs to check what is cited."""
    line = record.runs[0]
    entry = next(entry for entry in reversed(record.history.entries) if getattr(entry.event, "run", None) == line.run)
    found = (
        with_interval(line.verdict.endpoints[0]) if line.verdict and line.verdict.endpoints else "nothing was measured"
    )
    verdict = mark_of_run(line).word
    address = f"/claim?slug={view.card.id}&run={line.run}"
    return {
        "citation": (
            f"“{view.card.title}” Still Holds, run {line.number} on {line.subject}, {day(line.at)}: {verdict}; {found}. "
            f"Ledger entry {entry.seq}, sha256 {entry.digest}."
        ),
        "link": f"{_origin()}{address}",
        "claim": {"id": view.card.id, "slug": view.card.slug, "title": view.card.title, "date": view.date},
        "rests_on": [link.other.title for link in view.links if link.direction == "out" and link.type == "cites"],
        "contract": record.history.contract.model_dump(mode="json") if record.history.contract else None,
        "contract_digest": line.contract_digest,
        "standing": record.history.standing.model_dump(mode="json"),
        "run": line.model_dump(mode="json"),
        "measurement": record.newest.model_dump(mode="json") if record.newest and line.measurement_digest else None,
        "ledger": {
            "seq": entry.seq,
            "sha256": entry.digest,
            "entry": ledger.canonical(entry.event.model_dump(mode="json")),
        },
    }


def _origin() -> str:
    url = str(st.context.url or "")
    parts = url.split("/")
    return "/".join(parts[:3]) if len(parts) >= 3 else ""
