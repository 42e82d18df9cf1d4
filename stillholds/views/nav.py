"""Links that walk inside the session, and two keys: / searches, ? explains the marks. The walking itself is done in the browser."""

import streamlit as st

from stillholds.views.legend import explain

_mount = st.components.v2.component("stillholds.nav", js="nav.js", html="<span></span>")


def listen() -> None:
    """Mount the listener, and answer the key that was pressed since the last run."""
    heard = _mount(key="sh-nav", on_key_change=lambda: None)
    if heard.key == "?":
        explain()
