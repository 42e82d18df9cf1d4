"""One run on a claim's page: its figures, its numbers, and where it came from."""

from html import escape

import streamlit as st

from claims import ledger
from claims.overview import Record, RunLine
from stillholds.views import arms, charts, curves, frame, numbers, plane
from stillholds.words import number, seconds, sentence
from verifiers.measurement import Curve, Measurement


def chosen(record: Record) -> None:
    """The numbers of the run that the address names, else of the newest."""
    asked = st.query_params.get("run")
    with_numbers = [line for line in record.runs if line.verdict and line.verdict.endpoints]
    line = next((line for line in with_numbers if line.run == asked), with_numbers[0] if with_numbers else None)
    if line is None or line.verdict is None:
        return
    with frame.store().reading() as session:
        measured = ledger.measurement(session, line.measurement_digest or "")
    for curve in measured.findings.curves:
        _curve(curve, line, measured)
    with st.expander(f"Run {line.number} in numbers", expanded=asked is not None):
        frame.html(f"<p>{escape(line.verdict.reason)}.</p>{numbers.endpoints(line.verdict.endpoints, 'Units')}")
        frame.html(_beside_endpoints(measured))
        frame.html(_provenance(measured, line))


KEYS = {
    "lines": "thin: a unit, thick: the mean; line at {null:g}: no effect",
    "columns": "a tick: a unit, joined from arm to arm; circle: the mean with its 95 % interval",
    "panels": "dots: as measured; line: the law, dashed: foretold by the first third, thin: a line in entropy, dotted: a rise in step",
}


def _curve(curve: Curve, line: RunLine, measured: Measurement) -> None:
    """A quantity over another in the chosen run, drawn and never judged."""
    palette = charts.DARK if st.context.theme.type == "dark" else charts.LIGHT
    key = KEYS[curve.style].format(null=curve.null)
    title = f"{curve.y} over {curve.x}" if curve.style == "panels" else curve.name
    frame.html(frame.heading(sentence(title).rstrip("."), f"run {line.number}; {key}"))
    if curve.style == "panels":
        values = measured.findings.endpoints[0].values
        plane.show(curve, [f"unit {number}" for number in range(1, len(values) + 1)], values, palette)
        return
    drawing, words = (
        (arms.arms(curve, palette), arms.in_words(curve))
        if curve.style == "columns"
        else (curves.curve(curve, palette), curves.in_words(curve))
    )
    st.altair_chart(charts.house(drawing, palette), theme=None, width="stretch", alt=words)


def _beside_endpoints(measured: Measurement) -> str:
    """Figures of the units that are no endpoints: what gates looked at, what was thrown away, where arms ended."""
    rows = []
    for name, values in measured.findings.series.items():
        known = [value for value in values if value is not None]
        if known:
            few = f"{number(min(known))} to {number(max(known))}" if len(set(known)) > 1 else number(known[0])
            rows.append([escape(name.replace("_", " ")), few, str(len(known))])
    return frame.table(["Beside the endpoints", "Over units, from … to", "Units"], rows) if rows else ""


def _provenance(measured: Measurement, line: RunLine) -> str:
    p = measured.provenance
    commit = (
        f"{p.commit[:12]}{' with uncommitted changes' if p.uncommitted_changes else ''}"
        if p.commit
        else "installed, no checkout"
    )
    facts = [
        ("Run", f"{line.run}, seed {p.seed}"),
        ("Unit", measured.findings.unit),
        ("Verifier", f"{measured.verifier} {p.version}, code {p.code_digest[:12]}, commit {commit}"),
        ("Software", ", ".join(f"{name} {version}" for name, version in p.packages.items()) + f", Python {p.python}"),
        ("Machine", f"{p.platform}, {p.device}, {p.processes} processes of {p.threads_per_process} thread"),
        (
            "Cost",
            f"{seconds(p.wall_seconds)}, {p.cpu_seconds / 60:.1f} CPU-minutes, begun {p.started_at:%Y-%m-%d %H:%M} UTC",
        ),
        ("Measurement", line.measurement_digest or ""),
    ]
    return frame.table(
        ["", ""], [[f"<span class='sh-soft'>{name}</span>", escape(said)] for name, said in facts], "Provenance"
    )
