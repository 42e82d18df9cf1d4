"""The graph widget: cytoscape in a Streamlit component, its files served from this package."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

_mount = st.components.v2.component(
    "stillholds.network",
    js="network.js",
    html="<div class='net' role='img' aria-label='Neighbourhood as a picture; the list beside it says the same'></div>",
    css=".net{position:relative;height:36rem;width:100%}",
)


def draw(elements: Sequence[dict[str, Any]], here: str, palette: dict[str, str], key: str = "network") -> str | None:
    """Draw ELEMENTS around HERE; return the node that was clicked since the last run. A double click opens the node's page."""
    result = _mount(
        data={"elements": list(elements), "here": here, "palette": palette}, key=key, on_walk_change=lambda: None
    )
    walked: str | None = result.walk
    return walked
