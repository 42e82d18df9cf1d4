"""The frame around the pages. `stillholds app` runs this file, `app.py` in a checkout runs it too."""

from collections.abc import Callable

import streamlit as st

from stillholds.views import (
    claim,
    frame,
    graph,
    home,
    inbox,
    lists,
    note,
    paper,
    schedule,
    search,
    timeline,
    upload,
    work,
)
from stillholds.views.nav import listen


def main() -> None:
    """Draw the page that the address asks for."""
    st.set_page_config(page_title="Still Holds", page_icon=str(frame.ASSETS / "icon.svg"), layout="wide")
    st.logo(str(frame.ASSETS / "logo.svg"), size="medium")
    pages = [
        st.Page(_framed(home.page), title="Library", default=True),
        st.Page(_framed(lists.lines), title="Lines", url_path="lines"),
        st.Page(_framed(lists.notes), title="Notes", url_path="notes"),
        st.Page(_framed(lists.claims), title="Claims", url_path="claims"),
        st.Page(_framed(lists.papers), title="Papers", url_path="papers"),
        st.Page(_framed(timeline.page), title="Changes", url_path="changes"),
        st.Page(_framed(inbox.page), title="Inbox", url_path="inbox"),
        st.Page(_framed(schedule.page), title="Schedule", url_path="schedule"),
        st.Page(_framed(work.page), title="Work", url_path="work"),
        st.Page(_framed(graph.page), title="Graph", url_path="graph"),
        st.Page(_framed(search.page), title="Search", url_path="search"),
        st.Page(_framed(upload.page), title="Your own log", url_path="your-own-log"),
        st.Page(_framed(note.line), title="Line", url_path="line", visibility="hidden"),
        st.Page(_framed(note.note), title="Note", url_path="note", visibility="hidden"),
        st.Page(_framed(claim.page), title="Claim", url_path="claim", visibility="hidden"),
        st.Page(_framed(paper.page), title="Paper", url_path="paper", visibility="hidden"),
    ]
    page = st.navigation(pages, position="top")
    frame.style()
    listen()
    page.run()


def _framed(draw: Callable[[], None]) -> Callable[[], None]:
    """A page whose errors are said in words."""

    def page() -> None:
        with frame.in_words():
            frame.settle()
            draw()

    page.__name__ = f"{draw.__module__.rpartition('.')[2]}_{draw.__name__}"
    return page


if __name__ == "__main__":
    main()
