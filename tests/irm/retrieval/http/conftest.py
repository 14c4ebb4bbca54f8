"""What the tests of the server share: the application around the tiny store, and images as bytes."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient


@pytest.fixture
def client(gallery):
    """A client of the application, its queues running."""
    from irm.retrieval.http.app import build_app

    with TestClient(build_app(gallery), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="session")
def encode():
    """An image of somebody-like noise as the bytes of a file: ``encode("PNG", mode="L", size=(20, 40))``."""

    def encode(kind="JPEG", *, mode="RGB", size=(24, 48), seed=0, **options):
        levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(levels).convert(mode).save(file, kind, **options)
        return file.getvalue()

    return encode


@pytest.fixture
def ask(client, encode):
    """Search as a form: ``ask(images=[jpeg], text="...")``; by default with one image."""

    def ask(*, path="/v1/search", **given):
        given = given or {"images": [encode()]}
        files, fields = [], {}
        for name, value in given.items():
            if name in ("images", "negatives", "clothes"):
                files += [(name, ("file", data)) for data in (value if isinstance(value, list) else [value])]
            else:
                fields[name] = value
        return client.post(path, data=fields, files=files)

    return ask
