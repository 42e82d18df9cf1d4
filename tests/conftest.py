"""What every test starts from: one thread, no network, no cache and no library of whoever runs it."""

import os
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: two workers on two cores
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="stillholds-tests-")
os.environ.pop("STILLHOLDS_STORE", None)
os.environ.pop("STILLHOLDS_READ_ONLY", None)

from tests.postgres_support import postgres, postgres_server  # noqa: F401  fixtures
