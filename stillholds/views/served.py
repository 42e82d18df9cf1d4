"""The app as a web server: Streamlit's pages, and beside them the feeds, at addresses that a feed reader can ask.

`stillholds app` runs this file. `streamlit run app.py` serves the pages alone.
"""

import hashlib
import os
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kb.errors import KbError
from kb.location import location_from
from kb.store import Store
from stillholds import feeds
from stillholds.views import frame

LOCAL = {"localhost", "127.0.0.1", "::1"}


def feed(request: Request) -> Response:
    """A feed, made from the library as it is; Starlette asks in a thread of its own."""
    if request.url.hostname not in LOCAL:  # a page of another site must not read the library through a name of its own
        return PlainTextResponse("Ask for 127.0.0.1 or localhost.", 403)
    name = request.url.path.rpartition("/")[2]
    try:
        with Store.open(location_from(None, os.environ), read_only=True).reading() as session:
            content = feeds.made(session, name, frame.now(), str(request.base_url))
    except KbError as error:
        return PlainTextResponse(str(error), 503)
    return _answer(request, content, feeds.TYPES[name])


def _answer(request: Request, content: bytes, kind: str) -> Response:
    """The feed, or that it is the one which the reader has."""
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


app = st.App(Path(__file__).parent / "shell.py", routes=[Route(f"/feeds/{name}", feed) for name in feeds.TYPES])
