"""Your own log: upload logs, name their columns and units, and see whether their runs obey the collapse law.

Nothing in a file is executed, and nothing of it is kept: files lie in a temporary folder while they are read; they and what
came out stay in this session's memory until others take their place or the tab is closed. The library is not touched, so
a read-only app does it too.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from claims import measuring
from claims.contract import Contract
from claims.runs import Begun, Job, Means
from claims.verification import Outcome
from claims.worker import cache_folder
from stillholds import logs, present
from stillholds.views import charts, frame, marks, numbers, plane
from stillholds.views.spark import spark
from stillholds.words import run_mark, sentence, with_interval
from verifiers.measurement import Measurement, Progress, SubjectRef
from verifiers.registry import VerifierError

VERIFIER = "collapse_fit"
ENDINGS = ["csv", "tsv", "txt", "jsonl", "ndjson", "json"]
MEGABYTES = 50  # of one file
COLUMNS = {
    "step": "step",
    "entropy": "entropy or H",
    "score": "val_accuracy, R or reward",
    "run": "run, else a file is a run",
    "arm": "arm, else no run was intervened in",
}
UNITS = {"entropy": ["nats", "bits"], "score": ["share", "percent"]}
PROMISE = (
    "CSV or JSON lines, one run a file or a column that names the runs; entropy in every row, a validation score in some. "
    "Nothing in a file is executed, and nothing is kept beyond this visit: save the result if you want it."
)
COVERS = (
    "The verdict is on these runs alone, and on one thing: whether score falls on −a·exp(H) + b with a above 0, better than two series "
    "do that merely drift past each other. It says nothing of why, of other runs, or of what would happen under another recipe."
)


@dataclass(frozen=True)
class Found:
    """What a session has measured, and of which files, columns and units."""

    asked: str
    contract: Contract
    outcome: Outcome
    measured: Measurement | None


def page() -> None:
    """Draw the page."""
    frame.title("Does your run obey the collapse law?", "Your own log")
    frame.html(f"<p class='sh-soft'>{escape(PROMISE)}</p>")
    files, columns = _form()
    if not files:
        frame.empty(
            "Upload one or more logs to begin. Eight runs or more can be judged; fewer are measured and counted."
        )
        return
    found = _answered(files, columns)
    if found is not None:
        _results(found)


def _answered(files: Sequence[UploadedFile], columns: Mapping[str, str]) -> Found | None:
    """Say what is read from FILES, offer to measure it, and give what has been measured of them."""
    asked = _digest(files, columns)
    found: Found | None = st.session_state.get("log")
    done = found is not None and found.asked == asked and found.measured is not None
    try:
        with _laid_down(files) as subject:
            read = measuring.reading(subject, columns) or {}
            _said(read["sentences"])
            if not done and st.button("Measure", type="primary"):
                st.session_state["log"] = _named(_measure(subject, columns, asked), files)
                st.rerun()
    except VerifierError as error:
        frame.failure(str(error))
    return found if found is not None and found.asked == asked else None


# --- what is asked ----------------------------------------------------------------------------------------------------


def _form() -> tuple[Sequence[UploadedFile], dict[str, str]]:
    """The files, and the columns and units that were named."""
    left, right = st.columns(2, gap="large")
    with left:
        files = st.file_uploader(
            f"Logs, at most {MEGABYTES} MB each", ENDINGS, accept_multiple_files=True, max_upload_size=MEGABYTES
        )
        places = st.columns(2)
        units = {
            what: place.selectbox(f"Unit of the {what}", known)
            for place, (what, known) in zip(places, UNITS.items(), strict=True)
        }
    with right:
        places = st.columns(2)
        named = {
            what: places[number % 2].text_input(f"Column of the {what}", placeholder=usual)
            for number, (what, usual) in enumerate(COLUMNS.items())
        }
    columns = {what: name.strip() for what, name in named.items() if name.strip()}
    return files, columns | {f"{what}_unit": unit for what, unit in units.items()}


def _digest(files: Sequence[UploadedFile], columns: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(columns, sort_keys=True).encode())
    for file in files:
        digest.update(hashlib.sha256(file.getbuffer()).digest() + file.name.encode("utf-8", "replace"))
    return digest.hexdigest()


@contextmanager
def _laid_down(files: Sequence[UploadedFile]) -> Iterator[str]:
    """The files in a temporary folder that is gone afterwards, each in a folder of its own, for two may have one name."""
    with TemporaryDirectory(prefix="stillholds-") as folder:
        for number, file in enumerate(files):
            own = Path(folder) / f"{number:04}"
            own.mkdir()
            (own / _harmless(file.name)).write_bytes(file.getbuffer())
        yield f"runlog:{folder}/*/*"


def _harmless(name: str) -> str:
    """A file's name without what a path, a pattern or a terminal could take for something else."""
    return re.sub(r"[^\w.()+= -]", "_", name).lstrip(".")[-100:] or "log"


# --- measuring --------------------------------------------------------------------------------------------------------


class Bar:
    """A watcher that draws."""

    def __init__(self) -> None:
        self._bar = st.progress(0.0, "Starting …")

    def begun(self, job: Job, run: Begun, claims: Sequence[str]) -> None: ...

    def progressed(self, done: Progress) -> None:
        """Move the bar."""
        self._bar.progress(done.done / done.total, f"{done.done} of {done.total} done")

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Take the bar away."""
        self._bar.empty()


def _measure(subject: str, columns: Mapping[str, str], asked: str) -> Found:
    job, contract = measuring.plan(VERIFIER, subject, "standard")
    means = Means(clock=frame.now, processes=1, cache=str(cache_folder()))
    outcome, measured = measuring.measure(job, contract, 0, means, Bar(), columns=columns)
    return Found(asked, contract, outcome, measured)


def _named(found: Found, files: Sequence[UploadedFile]) -> Found:
    """FOUND with the names of the files in place of a temporary folder's."""
    subject = f"runlog:{','.join(_harmless(file.name) for file in files)}"
    outcome = found.outcome.model_copy(update={"subject": subject})
    measured = found.measured and found.measured.model_copy(update={"subject": SubjectRef.parse(subject)})
    return Found(found.asked, found.contract, outcome, measured)


# --- what came out ----------------------------------------------------------------------------------------------------


def _said(sentences: Sequence[str]) -> None:
    frame.html(f"{frame.heading('Read from the logs')}<p class='sh-small'>{escape(' '.join(sentences))}</p>")


def _results(found: Found) -> None:
    outcome, measured = found.outcome, found.measured
    frame.html(_verdict(found))
    if measured is None:
        return
    _plane(measured)
    frame.html(frame.heading("In numbers") + numbers.endpoints(outcome.endpoints, "Runs"))
    if absent := logs.not_measured(measured):
        entries = [
            f"{escape(sentence(why))}<br><span class='sh-small sh-soft'>{escape('; '.join(quantities))}</span>"
            for why, quantities in absent
        ]
        frame.html(frame.heading("Not measured") + frame.listing(entries))
    whole = logs.document(present.outcome(outcome), measured) | {"measurement": measured.model_dump(mode="json")}
    st.download_button(
        "Save as JSON", json.dumps(whole, indent=2, ensure_ascii=False), "collapse-fit.json", "application/json"
    )


def _plane(measured: Measurement) -> None:
    palette = charts.DARK if st.context.theme.type == "dark" else charts.LIGHT
    primary, curve = measured.findings.endpoints[0], measured.findings.curves[0]
    runs = measured.findings.settings["log"]["runs"]
    names = [run["name"] for run in runs if not run["arm"]]
    key = [
        "beside a name: what counts of its R²",
        "dashed: foretold by the first third; thin: a line in entropy; dotted: a rise in step",
    ]
    key += ["open: intervened"] * (len(names) < len(runs))
    key += [f"the first {plane.MOST} of {len(names)} runs"] * (len(names) > plane.MOST)
    frame.html(frame.heading("Score over entropy, with the fitted law", "; ".join(key)))
    plane.show(curve, names, primary.values, palette)


def _verdict(found: Found) -> str:
    outcome = found.outcome
    mark = run_mark(outcome.verdict, outcome.tag, certified=outcome.certified, outside=False)
    facts = [("These runs", marks.html(mark, big=True), sentence(outcome.reason))]
    facts += [(one.quantity, spark(found.contract, one), with_interval(one)) for one in outcome.endpoints[:1]]
    facts.append(("What that covers", "", COVERS))
    cells = (f"<div><dt>{escape(name)}</dt><dd>{shown}<p>{escape(said)}</p></dd></div>" for name, shown, said in facts)
    return f"<dl class='facts'>{''.join(cells)}</dl>"
