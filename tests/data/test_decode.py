"""Every format and mode the folder promises, made here and compared by pixel."""

import numpy as np
import pytest
from PIL import Image

from backlit.data import folder

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def quarters(size=16):
    """Red, green / blue, white quarters: shows turning, mirroring and cutting."""
    pixels = np.full((size, size, 3), 255, np.uint8)
    half = size // 2
    pixels[:half, :half], pixels[:half, half:], pixels[half:, :half] = RED, GREEN, BLUE
    return Image.fromarray(pixels)


def only(path, **options):
    pictures = folder(path, **{"size": 16, **options})
    assert len(pictures) == 1, pictures.skipped
    return pictures.pictures[0]


@pytest.mark.parametrize(
    "extension, options, tolerance",
    [
        ("png", {}, 0),
        ("jpg", {"quality": 100, "subsampling": 0}, 3),
        ("JPEG", {"quality": 100, "subsampling": 0}, 3),
        ("webp", {"lossless": True}, 0),
        ("gif", {}, 0),
        ("bmp", {}, 0),
        ("tif", {}, 0),
        ("tiff", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_each_format_gives_its_pixels(photos, extension, options, tolerance):
    quarters().save(photos / f"a.{extension}", **options)
    difference = only(photos).astype(int) - np.asarray(quarters()).astype(int)
    assert abs(difference).max() <= tolerance


def test_the_first_frame_of_an_animation_is_taken(photos):
    frames = [quarters(), quarters().transpose(Image.Transpose.ROTATE_90)]
    frames[0].save(photos / "a.gif", save_all=True, append_images=frames[1:])
    assert (only(photos) == np.asarray(quarters())).all()


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "1", "CMYK", "LA", "RGBA", "PA", "YCbCr"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_mode_keeps_black_and_white(photos, mode, channels):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, 8:] = 255
    picture = Image.fromarray(pixels)
    picture = picture.convert("P").convert(mode) if mode == "PA" else picture.convert(mode)
    picture.save(photos / ("a.tif" if mode in ("CMYK", "PA", "YCbCr") else "a.png"))
    found = only(photos, channels=channels)
    assert found.shape == (16, 16, channels) and found.dtype == np.uint8
    assert found[:, :8, : min(channels, 3)].max() <= 1
    assert found[:, 8:, : min(channels, 3)].min() >= 254
    if channels == 4:
        assert (found[..., 3] == 255).all()


def test_cmyk_jpeg_is_not_inverted(photos):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(photos / "a.jpg", quality=100)
    assert abs(only(photos).astype(int) - RED).max() <= 3


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(photos, extension):
    values = np.array([0, 128, 129, 257, 32768, 40000, 65406, 65535], np.uint16)
    Image.fromarray(np.tile(values.repeat(2), (16, 1))).save(photos / f"a.{extension}")
    found = only(photos, channels=1)[0, ::2, 0]
    assert found.tolist() == [0, 0, 1, 1, 128, 156, 254, 255]


@pytest.mark.parametrize("kind, dtype", [("32-bit integer", np.int32), ("floating", np.float32)])
def test_values_of_unknown_range_are_skipped_not_guessed(photos, kind, dtype):
    quarters().save(photos / "a.png")
    Image.fromarray(np.ones((16, 16), dtype)).save(photos / "b.tif")
    ((name, reason),) = folder(photos).skipped
    assert name == "b.tif" and reason.startswith(kind) and "unknown range" in reason


def test_transparent_palette_and_alpha_lie_on_the_background(photos):
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.paste(0, (0, 0, 8, 16))
    palette.save(photos / "a.png", transparency=0)
    found = only(photos, background=(1, 2, 3))
    assert (found[:, :8] == (1, 2, 3)).all() and (found[:, 8:] == RED).all()
    with_alpha = only(photos, channels=4)
    assert (with_alpha[:, :8, 3] == 0).all() and (with_alpha[:, 8:, 3] == 255).all()


def test_half_transparent_is_mixed(photos):
    Image.new("RGBA", (16, 16), (200, 100, 0, 128)).save(photos / "a.png")
    found = only(photos, background=(0, 0, 255))
    assert (found == (100, 50, 127)).all()  # 200 * 128 / 255 = 100.4; 255 * 127 / 255 = 127


def test_colour_hidden_under_full_transparency_does_not_bleed(photos):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., :3] = GREEN
    pixels[16:48, 16:48] = (*RED, 255)
    Image.fromarray(pixels).save(photos / "a.png")
    assert only(photos, background=RED)[..., 1].max() <= 1


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", [1, *TURNS])
@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_exif_orientation_is_undone(photos, orientation, extension):
    stored = quarters()
    if orientation in TURNS:
        stored = stored.transpose(TURNS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossy = {"quality": 100, "subsampling": 0} if extension == "jpg" else {}
    stored.save(photos / f"a.{extension}", exif=exif, **lossy, lossless=True)
    middles = only(photos)[4::8, 4::8].astype(int)
    wanted = np.array([[RED, GREEN], [BLUE, (255, 255, 255)]])
    assert abs(middles - wanted).max() <= 3


def test_crop_cuts_alike_on_both_sides(photos):
    wide = Image.new("RGB", (48, 16), RED)
    wide.paste(GREEN, (16, 0, 32, 16))
    wide.save(photos / "a.png")
    assert (only(photos, fit="crop") == GREEN).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pad_fills_up_with_the_background(photos, channels):
    Image.new("RGB", (16, 32), GREEN).save(photos / "a.png")
    found = only(photos, fit="pad", channels=channels, background=BLUE)
    side, middle = {
        1: ([29], [150]),
        3: (list(BLUE), list(GREEN)),
        4: ([0, 0, 0, 0], [*GREEN, 255]),
    }[channels]
    assert (found[:, :4] == side).all() and (found[:, 12:] == side).all()
    assert (found[:, 4:12] == middle).all()


def test_a_padded_grey_picture_keeps_a_coloured_background(photos):
    Image.new("L", (32, 16), 7).save(photos / "a.png")
    assert (only(photos, fit="pad", background=BLUE)[0] == BLUE).all()


def test_stretch_ignores_the_shape(photos):
    wide = Image.new("RGB", (64, 16), RED)
    wide.paste(GREEN, (32, 0, 64, 16))
    wide.save(photos / "a.png")
    found = only(photos, fit="stretch")
    assert (found[:, :4] == RED).all() and (found[:, 12:] == GREEN).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("width, height", [(1, 1), (1, 500), (500, 1), (3, 2), (17, 300)])
def test_any_shape_gives_the_wanted_size(photos, fit, width, height):
    Image.new("RGB", (width, height), GREEN).save(photos / "a.png")
    assert only(photos, fit=fit, size=9).shape == (9, 9, 3)


def test_a_large_jpeg_decoded_at_reduced_scale_stays_close(photos):
    y, x = np.mgrid[:512, :768] / 40
    values = 127 + 60 * np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1)
    large = Image.fromarray(values.astype(np.uint8))
    large.save(photos / "a.jpg", quality=98)
    exact = large.crop((128, 0, 640, 512)).resize((32, 32), Image.Resampling.LANCZOS)
    assert abs(only(photos, size=32).astype(int) - np.asarray(exact)).max() <= 4
