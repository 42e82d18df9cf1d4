"""What is different where a library lies on PostgreSQL: how it is opened, how transactions begin, what refusals mean.

A reader sees one moment (REPEATABLE READ, READ ONLY). A writer takes one lock for its whole transaction, so that
writers queue exactly as on SQLite: chains are read and then appended to, and two that did so at once would clash.
"""

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from kb.errors import StoreError

LOCK = 0x5717_1B0D_5  # ours among the advisory locks of a database
READING: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
CONNECTION: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,  # seconds until a machine that vanished is noticed
    "application_name": "stillholds",
    "client_encoding": "UTF8",
    "prepare_threshold": None,  # a prepared statement breaks when another process migrates the store
}
DRIVER = "a library on PostgreSQL needs the package psycopg: pip install 'stillholds[postgres]'"


def engine(url: str, patience_ms: int, *, read_only: bool) -> Engine:
    """An engine whose connections are tried before they are used, and wait for nothing longer than PATIENCE_MS.

    Raises:
        StoreError: when psycopg is not installed.
    """
    said = make_url(url).query
    arguments = {name: value for name, value in CONNECTION.items() if name not in said}
    try:
        made = create_engine(url, pool_pre_ping=True, pool_timeout=patience_ms / 1000, connect_args=arguments)
    except ImportError as error:
        raise StoreError(DRIVER) from error
    event.listen(made, "connect", _settings(patience_ms, read_only=read_only))
    event.listen(made, "begin", _begin)
    return made


def _settings(patience_ms: int, *, read_only: bool) -> Callable[[Any, Any], None]:
    settings = {
        "timezone": "UTC",
        "lock_timeout": f"{patience_ms}",
        "statement_timeout": f"{patience_ms + 5_000}",  # later, so that who waits for another is told so
        "idle_in_transaction_session_timeout": f"{10 * patience_ms}",  # who vanished gives up the lock
    }
    settings |= {"default_transaction_read_only": "on"} if read_only else {}
    calls = ", ".join("set_config(%s, %s, false)" for _ in settings)
    values = [text for setting in settings.items() for text in setting]

    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"SELECT {calls}", values)
        connection.commit()

    return prepare


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def prepare_upgrade(connection: Connection) -> None:
    """Let an upgrade take its time, on a database that can keep every text.

    Raises:
        StoreError: when it cannot.
    """
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise StoreError(f"the database keeps text as {encoding}: make one WITH ENCODING 'UTF8' TEMPLATE template0")


# --- what refusals mean ----------------------------------------------------------------------------------------------

# By SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html. True: it may pass.
MEANINGS: dict[str, tuple[str, bool]] = {
    "53100": (
        "the disk of the server that keeps {place} is full; nothing was changed. Make room and do it again",
        True,
    ),
    "53300": ("{place} has too many connections: close some, or raise its limit, and do it again", True),
    "53": ("the server that keeps {place} has run out of means: {said}", True),
    "55P03": (
        "{place} is busy: another process has been writing for {patience} s; nothing was changed. Do it again",
        True,
    ),
    "57014": ("{place} took too long over one question, and was stopped; nothing was changed. Do it again", True),
    "54": ("{place}: {said}. PostgreSQL keeps names and titles of up to 2,600 bytes", False),
    "57P04": ("{place} is gone: somebody has dropped the database", False),
    "57": ("the server that keeps {place} is stopping or starting; do it again when it is up", True),
    "25P03": (
        "{place} was kept waiting too long in the middle of a transaction; nothing was changed. Do it again",
        True,
    ),
    "08": ("the connection to {place} was lost; do it again when the server is up", True),
    "40": ("{place} was changed by another process at the same time; nothing was changed here. Do it again", True),
    "58": ("the disk of the server that keeps {place} refused: {said}", True),
    "25006": ("{place} is read-only for this connection: it, its role or its server takes no writes", False),
    "42501": ("{place}: {said}. Its owner can GRANT the right, or connect as another role", False),
    "28": ("{place} does not let you in: {said}", False),
    "3D000": (
        "there is no database at {place}: `createdb NAME` makes one, `stillholds init` makes it a library",
        False,
    ),
    "XX": ("{place} is damaged: restore it from a copy ({said})", False),
}
# A connection that is not even made has no SQLSTATE, only words.
WORDS = {
    r"too many (connections|clients)|connection slots": "53300",
    r'database ".*" does not exist': "3D000",
    r"starting up|shutting down|not (yet )?accepting": "57",
    r"permission denied for database": "42501",
    r"authentication failed|no password supplied|pg_hba.conf|role .*": "28",
}
UNREACHABLE = ("{place} cannot be reached: {said} Is the server up, and is the address right?", True)
LOST = (
    "the connection to {place} was lost. What was being written is in as a whole or not at all; do it again when the "
    "server is up",
    True,
)


def meaning(error: DBAPIError) -> tuple[str, bool]:
    """What a refusal means, with gaps for {place}, {said} and {patience}; and whether it may pass."""
    state = getattr(error.orig, "sqlstate", None) or _state_in_words(said(error))
    known = MEANINGS.get(state) or MEANINGS.get(state[:2])
    if known:
        return known
    if error.connection_invalidated:
        return LOST
    connecting = error.statement is None and isinstance(error, OperationalError)
    return UNREACHABLE if connecting else ("{place}: {said}", False)


def said(error: DBAPIError) -> str:
    """What the server or the driver said, in one line."""
    diagnosis = getattr(error.orig, "diag", None)
    words = getattr(diagnosis, "message_primary", None) or str(error.orig)
    fatal = re.search(r"FATAL:\s*(.*)", words)
    return fatal.group(1) if fatal else " ".join(words.partition("\n\tIs the server")[0].split())


def _state_in_words(words: str) -> str:
    return next((state for pattern, state in WORDS.items() if re.match(f"(.* )?({pattern})", words)), "")
