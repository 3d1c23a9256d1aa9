"""One picture file to one array of the wanted size: every format and mode Pillow can read safely.

Colour profiles are not applied: the stored values are taken as sRGB.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from backlit.data.options import Colour, composite
from backlit.errors import DataError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
FITS = ("crop", "pad", "stretch")


class Unusable(Exception):
    """Why a file gives no picture; becomes a counted skip or, with strict, a DataError."""


@dataclass(frozen=True)
class Decoding:
    """What is made of every picture.

    Args:
        size: edge in pixels.
        fit: "crop" scales until the square is covered and cuts what stands over, alike on both
            sides; "pad" scales until the picture fits in and fills up with the background (with 4
            channels: with nothing); "stretch" ignores the shape.
        channels: 1 grey, 3 RGB, 4 RGBA.
        background: laid under what is transparent when channels is 1 or 3.
    """

    size: int
    fit: str
    channels: int
    background: Colour


def decode(file: Path, sha256: str, wanted: Decoding) -> np.ndarray:
    """The picture as uint8 (size, size, channels).

    Args:
        file: the file, read once.
        sha256: what its bytes must hash to, so that the cache holds what its key says.
        wanted: size, fit, channels and background.

    Raises:
        Unusable: with the reason.
        DataError: the file changed since it was hashed, or memory ran out.
    """
    try:
        raw = file.read_bytes()
        changed = hashlib.sha256(raw).hexdigest() != sha256
    except OSError:
        changed = True
    if changed:
        raise DataError(f"{file}: changed while its folder was read; open the folder again")
    if not raw:
        raise Unusable("empty file (0 bytes)")
    try:
        with Image.open(io.BytesIO(raw)) as picture:
            return to_array(picture, wanted)
    except Unusable:
        raise
    except UnidentifiedImageError:
        raise Unusable("not a picture: no known format begins like this") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = f"{Image.MAX_IMAGE_PIXELS:,} pixels (PIL.Image.MAX_IMAGE_PIXELS)"
        raise Unusable(f"larger than the limit of {limit}") from None
    except MemoryError as error:
        raise DataError(f"{file}: not enough memory to decode it") from error
    # Pillow's readers raise almost any exception (struct.error, SyntaxError, IndexError, zlib.error
    # ...) on damaged bytes: whatever it is, this one file is unusable and the text says why.
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise Unusable(f"damaged: {text}") from error


def to_array(picture: Image.Image, wanted: Decoding) -> np.ndarray:
    """First frame, turned upright, in the wanted size and channels: uint8 (size, size, C)."""
    size = wanted.size
    # A JPEG decodes at 1/2, 1/4 or 1/8 for little; twice the wanted size keeps the resize exact.
    picture.draft(None, (2 * size, 2 * size))
    picture.load()
    picture = to_eight_bits(ImageOps.exif_transpose(picture))
    if wanted.channels == 4:
        picture = picture.convert("RGBA")
    picture = resize(picture, wanted)
    if picture.mode == "RGBA":
        pixels = np.asarray(picture)
        if wanted.channels == 4:
            return pixels
        picture = Image.fromarray(composite(pixels, wanted.background))
    pixels = np.asarray(picture.convert("L" if wanted.channels == 1 else "RGB"))
    return pixels.reshape(size, size, wanted.channels)


def to_eight_bits(picture: Image.Image) -> Image.Image:
    """Any mode as L, RGB or RGBA.

    Pillow's own conversion clips 16-bit grey at 255 (nearly all white); here 0..65535 becomes
    0..255, rounded. 32-bit integers and floats name no range: refused, not guessed.
    """
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        kind = "32-bit integer" if picture.mode == "I" else "floating-point"
        raise Unusable(f"{kind} values of unknown range: save it with 8 or 16 bits a channel")
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    return picture.convert("RGB")


def resize(picture: Image.Image, wanted: Decoding) -> Image.Image:
    """To size x size by `wanted.fit`, Lanczos; Pillow premultiplies alpha for RGBA."""
    size, lanczos = wanted.size, Image.Resampling.LANCZOS
    width, height = picture.size
    if wanted.fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        return picture.resize((size, size), lanczos, box=box, reducing_gap=3)
    if wanted.fit == "stretch":
        return picture.resize((size, size), lanczos, reducing_gap=3)
    scale = size / max(width, height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    picture = picture.resize(inner, lanczos, reducing_gap=3)
    if picture.mode == "L" and wanted.channels == 3:
        picture = picture.convert("RGB")  # so that a coloured background stays coloured
    grey = Image.new("RGB", (1, 1), wanted.background).convert("L").tobytes()[0]
    fills: dict[str, tuple[int, ...] | int]
    fills = {"RGBA": (0, 0, 0, 0), "RGB": wanted.background, "L": grey}
    square = Image.new(picture.mode, (size, size), fills[picture.mode])
    square.paste(picture, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return square
