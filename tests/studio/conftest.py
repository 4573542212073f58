"""A studio with the models that come with audioseq, without a browser."""

from __future__ import annotations

import pytest

starlette = pytest.importorskip("starlette", reason="the extra studio is not installed")

from starlette.testclient import TestClient  # noqa: E402

from audioseq.studio.desk import Desk  # noqa: E402
from audioseq.studio.server import application  # noqa: E402
from audioseq.studio.shelf import Shelf  # noqa: E402

PORT, TOKEN = 8765, "open"


@pytest.fixture(scope="session")
def shelf():
    """All bundled models, loaded."""
    found = Shelf()
    found.start().join()
    return found


@pytest.fixture(scope="session")
def desk(shelf, tmp_path_factory):
    return Desk(shelf, tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="session")
def client(desk):
    """A client with the token, from the page's own address."""
    headers = {"X-Audioseq-Token": TOKEN}
    with TestClient(application(desk, TOKEN, PORT), base_url=f"http://127.0.0.1:{PORT}", headers=headers) as made:
        yield made
