"""Pictures that strangers send: a clear refusal or a right answer, never a crash and never a hang."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from irm.retrieval import Picture, Question
from irm.retrieval.http.problems import Problem
from irm.retrieval.http.settings import Limits
from irm.retrieval.http.uploads import decode_upload

LIMITS = Limits()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows=b"", extra=b""):
    """A grey PNG that says what size it is, whatever its rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def gif():
    frames = [Image.new("RGB", (24, 48), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


REFUSED = {
    "nothing": (b"", 422),
    "a text": (b"GET / HTTP/1.1\r\n\r\n" * 20, 415),
    "a web page": (b"<!doctype html><script>alert(1)</script>", 415),
    "an SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', 415),
    "an animated GIF": (gif(), 415),
    "a PDF": (b"%PDF-1.7\n" + bytes(500), 415),
    "a TIFF": (b"II*\x00" + bytes(500), 415),
    "RIFF that is no WebP": (b"RIFF\x24\x00\x00\x00WAVE" + bytes(100), 415),
    "a JPEG's first bytes alone": (b"\xff\xd8\xff\xe0", 422),
    "a PNG without rows": (png(40, 80), 422),
    "a PNG that lies about its size": (png(4000, 5000, bytes(200)), 422),
    "a bomb of 144 million pixels": (png(12_000, 12_000, bytes(12_001 * 2000)), 413),
    "a bomb of 10^18 pixels": (png(2**30, 2**30), 413),
    "a bomb in a text chunk": (
        png(40, 80, bytes(41 * 80), chunk(b"zTXt", b"k\x00\x00" + zlib.compress(bytes(90_000_000)))),
        422,
    ),
    "one pixel": (png(1, 1, b"\x00\x80"), 422),
    "a line": (png(5000, 1, bytes(5001)), 422),
    "a file over the limit": (b"\xff\xd8\xff" + bytes(LIMITS.image_bytes), 413),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_of_a_person_is_refused(ask, name):
    data, status = REFUSED[name]
    reply = ask(images=[data])
    assert reply.status_code == status, reply.text
    message = reply.json()["error"]["message"]
    assert message.startswith("image")
    assert "alert" not in message


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("PNG", {"mode": "L"}),
        ("PNG", {"mode": "LA"}),
        ("PNG", {"mode": "P"}),
        ("PNG", {"mode": "1"}),
        ("PNG", {"mode": "RGBA"}),
        ("JPEG", {"mode": "L"}),
        ("JPEG", {"mode": "CMYK"}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {"mode": "RGBA"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_pictures_of_every_mode_are_answered(ask, encode, kind, options):
    assert ask(images=[encode(kind, **options)]).status_code == 200


def test_a_picture_held_sideways_is_the_upright_one(encode):
    """EXIF orientation 6: the camera was turned, so the picture is stored lying."""
    upright = Image.open(io.BytesIO(encode("PNG")))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    turned = decode_upload(file.getvalue(), what="image", limits=LIMITS)
    assert np.array_equal(turned.pixels, np.asarray(upright))


def test_sixteen_bits_lose_their_lower_byte_and_are_not_white():
    levels = np.full((48, 24), 4000, dtype=np.uint16)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    assert set(decode_upload(file.getvalue(), what="image", limits=LIMITS).pixels.ravel()) == {4000 >> 8}


def test_the_first_picture_of_an_animation_counts():
    frames = [Image.new("RGB", (24, 48), colour) for colour in ("red", "blue")]
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:], **options)
        found = decode_upload(file.getvalue(), what="image", limits=LIMITS)
        assert np.array_equal(found.pixels, np.asarray(frames[0]))


def test_a_large_picture_is_answered_as_the_engine_answers_it(ask, encode, gallery):
    """Though it is kept at the model's size while it waits."""
    large = encode("PNG", size=(700, 1500))
    answer = gallery.search(Question(images=(Picture.decode(large),)))
    hits = ask(images=[large]).json()["hits"]
    assert [(hit["image"], hit["score"]) for hit in hits] == [(hit.image, hit.score) for hit in answer.hits]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_cut_off_anywhere_is_refused_or_read(encode, kind):
    whole = encode(kind)
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        try:
            decode_upload(whole[:length], what="image", limits=LIMITS)
        except Problem as problem:
            assert problem.status_code in (415, 422)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "WEBP"]))
def test_damaged_bytes_are_refused_or_read(encode, data, kind):
    whole = bytearray(encode(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    try:
        picture = decode_upload(bytes(whole), what="image", limits=LIMITS)
    except Problem as problem:
        assert problem.status_code in (413, 415, 422)
    else:
        assert picture.pixels.shape[2] == 3


def test_too_many_pictures_are_refused(ask, encode):
    assert ask(images=[encode()] * 8).status_code == 200
    assert ask(images=[encode()] * 9).status_code == 422


def test_the_senders_file_name_is_not_repeated(client):
    files = {"images": ("../../etc/passwd<script>.jpg", b"nothing")}
    reply = client.post("/v1/search", files=files)
    assert reply.status_code == 415
    assert "passwd" not in reply.text
