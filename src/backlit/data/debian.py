"""The files in a Debian package, read with the standard library: no dpkg, no root.

A .deb is an `ar` archive: "!<arch>\\n", then members, each with a header of 60 bytes (name 16,
..., size 10 in decimal, "`\\n") and its bytes, padded to an even count. The member data.tar.* holds
the files.
Source: deb(5) and ar(5).
"""

import io
import lzma
import tarfile
import zlib
from pathlib import Path

from backlit.errors import DataError

MAGIC = b"!<arch>\n"
HEADER = 60


def files_in_deb(deb: Path, wanted: set[str]) -> dict[str, bytes]:
    """The wanted files of a package, by their base names.

    Args:
        deb: the package.
        wanted: base names; others are not read.

    Raises:
        DataError: no Debian package, cut short, without data, or packed in an unknown way.
    """
    name, packed = _data(deb)
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:*") as tar:
            found = {}
            for member in tar:
                base = member.name.rsplit("/", 1)[-1]
                # Read, never unpacked: no path in the archive can reach the disk.
                if base in wanted and (file := tar.extractfile(member)) is not None:
                    found[base] = file.read()
            return found
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise DataError(
            f"{deb}: its {name} cannot be unpacked ({reason}); unpack it with `dpkg -x` and give"
            f" the folder"
        ) from None


def _data(deb: Path) -> tuple[str, bytes]:
    """Name and bytes of data.tar.*."""
    raw = deb.read_bytes()
    if not raw.startswith(MAGIC):
        raise DataError(f"{deb}: expected a Debian package, this file begins {raw[:8]!r}")
    position = len(MAGIC)
    while position < len(raw):
        header = raw[position : position + HEADER]
        name = header[:16].decode("latin-1").strip().rstrip("/")
        digits = header[48:58].strip()
        start = position + HEADER
        if len(header) < HEADER or not digits.isdigit() or start + int(digits) > len(raw):
            raise DataError(f"{deb}: this Debian package is cut short; get it again")
        if name.startswith("data.tar"):
            return name, raw[start : start + int(digits)]
        position = start + int(digits) + int(digits) % 2
    raise DataError(f"{deb}: expected a member data.tar.*, found none; get the package again")
