"""Reading one image: two decoders that agree, rules for unusual formats, one sentence per fault."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from instructions.errors import InputError
from omnireid.loading import image as module
from omnireid.loading.image import decode_image, read_image


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(height: int, width: int, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(30, 95),
    st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    st.booleans(),
    st.booleans(),
)
def test_simplejpeg_and_pillow_agree_within_two_levels(
    height, width, quality, subsampling, progressive, grey
):
    pytest.importorskip("simplejpeg")
    image = smooth(height, width, seed=height * width)
    image = image.convert("L") if grey else image
    chroma = {} if grey else {"subsampling": subsampling}
    data = encoded(image, "JPEG", quality=quality, progressive=progressive, **chroma)
    fast = module._decode_with_simplejpeg(data, "x", module.MAX_PIXELS)
    slow = module._decode_with_pillow(data, "x", module.MAX_PIXELS)
    assert fast is not None
    assert fast.shape == slow.shape == (height, width, 3)
    assert np.abs(fast.astype(int) - slow).max() <= 2


def test_without_simplejpeg_pillow_reads_the_jpeg(monkeypatch):
    data = encoded(smooth(40, 20), "JPEG")
    monkeypatch.setattr(module, "_simplejpeg", lambda: None)
    assert decode_image(data, name="x").shape == (40, 20, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(smooth(24, 12), kind, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(decode_image(data, name="x"), np.asarray(expected))


def test_infrared_becomes_three_equal_channels():
    grey = np.arange(200, dtype=np.uint8).reshape(20, 10)
    pixels = decode_image(encoded(Image.fromarray(grey), "PNG"), name="x")
    np.testing.assert_array_equal(pixels, np.stack([grey] * 3, axis=2))


def test_cmyk_becomes_rgb():
    data = encoded(smooth(16, 8).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(decode_image(data, name="x").astype(int) - np.asarray(smooth(16, 8))).mean() < 6


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(mode):
    image = Image.new("RGBA", (4, 4), (10, 10, 10, 255))
    image.putpixel((0, 0), (200, 200, 200, 0))
    pixels = decode_image(encoded(image.convert(mode), "PNG"), name="x")
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[3, 3].tolist() == [10, 10, 10]


def test_a_palette_is_looked_up():
    image = smooth(16, 8).quantize(16)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(encoded(image, "PNG"), name="x"), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    levels = np.array([[0, 255, 4000, 65535]], dtype=np.uint16)
    pixels = decode_image(encoded(Image.fromarray(levels), kind), name="x")
    assert pixels[0, :, 0].tolist() == [0, 0, 15, 255]


def test_one_bit_is_black_and_white():
    pixels = decode_image(encoded(Image.fromarray(np.array([[True, False]])), "PNG"), name="x")
    assert pixels[0, :, 1].tolist() == [255, 0]


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data, name="x")[0, 0].tolist() == [255, 0, 0]


def bomb(side: int) -> bytes:
    """The first bytes of a PNG that says it has side × side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_000, 12_000, 20_000])
def test_a_pixel_bomb_is_refused_before_it_is_decoded(side):
    with pytest.raises(InputError, match="limit of 32000000"):
        decode_image(bomb(side), name="x")


def test_the_limit_of_pixels_is_an_argument():
    data = encoded(smooth(20, 10), "JPEG")
    assert decode_image(data, name="x", max_pixels=200).shape == (20, 10, 3)
    with pytest.raises(InputError, match=r"x: 10 × 20 pixels are more than the limit of 199"):
        decode_image(data, name="x", max_pixels=199)


FAULTS = {
    "empty": (b"", "empty"),
    "text": (b"<html>secret</html>", "not an image"),
    "only a signature": (b"\xff\xd8\xff\xe0", "damaged|not an image"),
    "truncated JPEG": (encoded(smooth(64, 32), "JPEG")[:-200], "damaged or cut off"),
    "truncated PNG": (encoded(smooth(64, 32), "PNG")[:300], "damaged or cut off"),
    "floating-point": (encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "floating-point"),
    "damaged exif, no image": (b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00garbage", "damaged|not an image"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_named_with_what_is_wrong(fault, tmp_path):
    data, complaint = FAULTS[fault]
    path = tmp_path / "0001 ä_c1.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError, match=complaint) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_file_a_folder_and_an_impossible_name_are_refused(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path, Path("x" * 5000), "nul\x00.jpg"):
        with pytest.raises(InputError, match=r"there is no such file|cannot be read"):
            read_image(path)


def test_a_jpeg_that_pillow_tolerates_is_read():
    data = encoded(smooth(16, 8), "JPEG")
    start_of_scan = data.index(b"\xff\xda")
    # Bytes between two markers: libjpeg warns of them and goes on.
    sloppy = data[:start_of_scan] + b"\x01\x02\x03" + data[start_of_scan:]
    assert decode_image(sloppy, name="x").shape == (16, 8, 3)
