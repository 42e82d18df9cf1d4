"""Walking between pages: links that stay inside the session, and two keys: / searches, ? explains the marks."""

from collections.abc import Mapping
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page

from stillholds.views import frame
from stillholds.views.legend import explain

_mount = st.components.v2.component("stillholds.nav", js="nav.js", html="<span></span>")
_pages: dict[str, Page] = {}


def go(name: str, **parameters: str) -> NoReturn:
    """Switch to the page of that address."""
    st.switch_page(_pages[name], query_params=parameters)


def listen(pages: Mapping[str, Page]) -> None:
    """Follow the link that was clicked, or the key that was pressed, since the last run."""
    _pages.update(pages)
    heard = _mount(key="sh-nav", on_go_change=lambda: None, on_key_change=lambda: None)
    if heard.go:
        name, parameters = frame.split_address(str(heard.go))
        if name in pages:
            go(name, **parameters)
    if heard.key == "/":
        go("search")
    if heard.key == "?":
        explain()
