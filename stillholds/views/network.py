"""The graph widget: cytoscape in a Streamlit component, its files served from this package."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import streamlit as st

_mount = st.components.v2.component(
    "stillholds.network",
    js="network.js",
    html="<div class='net' role='img' aria-label='Neighbourhood as a picture; the list beside it says the same'></div>",
    css=".net{position:relative;height:36rem;width:100%}",
)


class Picked(NamedTuple):
    """The node that was clicked, and the one that was clicked twice, since the last run."""

    walked: str | None
    opened: str | None


def draw(elements: Sequence[dict[str, Any]], here: str, palette: dict[str, str], key: str = "network") -> Picked:
    """Draw ELEMENTS around HERE."""
    result = _mount(
        data={"elements": list(elements), "here": here, "palette": palette},
        key=key,
        on_walk_change=lambda: None,
        on_open_change=lambda: None,
    )
    return Picked(result.walk, result.open)
