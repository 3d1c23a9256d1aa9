"""Rebuild the bundled Fluent Emoji pack from three npm packages.

    npm pack @lobehub/fluent-emoji-3d@1.1.0 @iconify-json/fluent-emoji-flat@1.2.6 \
        emojibase-data@17.0.0
    pip install "backlit[data]"
    python tools/prepare_emoji.py FOLDER_WITH_THE_TARBALLS

Writes flat.webp, 3d.webp (lossless sheets of 64-px RGBA tiles) and pack.json into
src/backlit/data/emoji. The same tarballs give the same pixels; pack.json holds their sha256.
"""

import argparse
import hashlib
import io
import json
import os
import re
import sys
import tarfile
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

SIZE_PX = 64
RENDER_PX = 256
COLUMNS = 39
MIN_IOU = 0.7  # pairs below differ in content: chopsticks, paperclip, white flag, ...
NEAR_RMS = 0.05  # pictures closer than this, in either style, are near duplicates
TEST_PERCENT = 10

TARBALLS = {
    "lobehub-fluent-emoji-3d-1.1.0.tgz": (
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58"
    ),
    "iconify-json-fluent-emoji-flat-1.2.6.tgz": (
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175"
    ),
    "emojibase-data-17.0.0.tgz": (
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a"
    ),
}

SKIN_TONES = {f"{tone:x}" for tone in range(0x1F3FB, 0x1F400)}
GENDER_SIGNS = {"2640", "2642"}
MAN_WOMAN = {"1f468", "1f469"}
PERSON = "1f9d1"
CLOCK_FACES = {f"{code:x}" for code in range(0x1F550, 0x1F568)}  # differ in two thin hands only


def read_tarball(folder: Path, name: str) -> dict[str, bytes]:
    """The members of one pinned tarball, by path below `package/`."""
    raw = (folder / name).read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != TARBALLS[name]:
        sys.exit(f"{folder / name}: expected sha256 {TARBALLS[name]}, found {found}")
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {
            member.name.removeprefix("package/"): file.read()
            for member in tar
            if (file := tar.extractfile(member)) is not None
        }


def normal_code(code: str) -> str:
    """Code points as lower-case hex of at least four digits, without variation selectors."""
    points = [point.lower().zfill(4) for point in re.split("[-_]", code)]
    return "-".join(point for point in points if point not in ("fe0f", "fe0e"))


def base_code(code: str) -> str:
    """The code without gender: man, woman and person of one activity share a base."""
    points = [point for point in code.split("-") if point not in GENDER_SIGNS]
    points = [PERSON if point in MAN_WOMAN else point for point in points]
    points = ["1f550" if point in CLOCK_FACES else point for point in points]
    return "-".join(points).removesuffix("-200d")


def to_tile(picture: Image.Image) -> np.ndarray:
    """One picture as (64, 64, 4) uint8, padded to a square, resized with premultiplied alpha."""
    picture = picture.convert("RGBA")
    side = max(picture.size)
    if picture.size != (side, side):
        square = Image.new("RGBA", (side, side))
        square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        picture = square
    small = picture.convert("RGBa").resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS)
    tile = np.array(small.convert("RGBA"))
    tile[tile[..., 3] == 0] = 0  # the colour under full transparency is noise that costs bytes
    return tile


def read_3d(members: dict[str, bytes]) -> dict[str, bytes]:
    """WebP bytes by code."""
    files = {name: raw for name, raw in members.items() if name.endswith(".webp")}
    return {normal_code(Path(name).stem): raw for name, raw in files.items()}


def read_flat(members: dict[str, bytes]) -> dict[str, str]:
    """SVG text by code."""
    icons = json.loads(members["icons.json"])
    size = icons["width"], icons["height"]
    svgs = {}
    for code, name in json.loads(members["chars.json"]).items():
        alias = icons["aliases"].get(name, {})
        icon = icons["icons"][alias.get("parent", name)]
        width, height = icon.get("width", size[0]), icon.get("height", size[1])
        body = icon["body"]
        if alias.get("hFlip"):
            body = f'<g transform="translate({width} 0) scale(-1 1)">{body}</g>'
        svgs[normal_code(code)] = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}">{body}</svg>'
        )
    return svgs


def read_names(members: dict[str, bytes]) -> dict[str, dict]:
    """Label, tags, group and subgroup by code, in the order of the Unicode charts."""
    names = json.loads(members["meta/groups.json"])
    entries = json.loads(members["en/data.json"])
    entries = [entry for entry in entries if "group" in entry and "subgroup" in entry]
    return {
        normal_code(entry["hexcode"]): {
            "label": entry["label"],
            "tags": entry.get("tags", []),
            "group": names["groups"][str(entry["group"])].split("-")[0],
            "subgroup": names["subgroups"][str(entry["subgroup"])],
        }
        for entry in sorted(entries, key=lambda entry: entry["order"])
    }


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two tiles' masks (alpha above 127)."""
    a, b = first[..., 3] > 127, second[..., 3] > 127
    return float((a & b).sum() / max(1, (a | b).sum()))


def near_pairs(tiles: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of tiles whose root mean square difference on white is below NEAR_RMS."""
    alpha = tiles[..., 3:].astype(np.float32) / 255
    flat = (tiles[..., :3] / 255 * alpha + 1 - alpha).reshape(len(tiles), -1).astype(np.float32)
    pairs = []
    for index in range(len(flat)):
        distance = np.sqrt(((flat[index + 1 :] - flat[index]) ** 2).mean(axis=1))
        pairs += [(index, int(near) + index + 1) for near in np.flatnonzero(distance < NEAR_RMS)]
    return pairs


def find_folds(bases: list[str], pairs: list[tuple[int, int]]) -> list[str]:
    """One fold name for each picture: equal bases and near duplicates share a fold."""
    parent = list(range(len(bases)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    first: dict[str, int] = {}
    same_base = [(index, first.setdefault(base, index)) for index, base in enumerate(bases)]
    for one, other in same_base + pairs:
        parent[root(one)] = root(other)
    folds: dict[int, str] = {}
    for index, base in enumerate(bases):
        folds[root(index)] = min(base, folds.get(root(index), base))
    return [folds[root(index)] for index in range(len(bases))]


def is_test(fold: str) -> bool:
    """A tenth of the folds, chosen by the hash of the name: independent of the rest."""
    return int(hashlib.sha256(fold.encode()).hexdigest(), 16) % 100 < TEST_PERCENT


def write_sheet(path: Path, tiles: np.ndarray) -> None:
    """Tiles in rows of COLUMNS as one lossless WebP."""
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.zeros((rows * COLUMNS, SIZE_PX, SIZE_PX, 4), np.uint8)
    sheet[: len(tiles)] = tiles
    sheet = sheet.reshape(rows, COLUMNS, SIZE_PX, SIZE_PX, 4).swapaxes(1, 2)
    picture = Image.fromarray(sheet.reshape(rows * SIZE_PX, COLUMNS * SIZE_PX, 4))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=True, quality=100, method=6, exact=True)
    write_aside(path, buffer.getvalue())


def write_aside(path: Path, raw: bytes) -> None:
    aside = path.with_suffix(".new")
    aside.write_bytes(raw)
    os.replace(aside, path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rebuild the bundled Fluent Emoji pack.")
    parser.add_argument("tarballs", type=Path, help="folder with the three npm tarballs")
    target = Path(__file__).parents[1] / "src" / "backlit" / "data" / "emoji"
    parser.add_argument("--out", type=Path, default=target)
    options = parser.parse_args()

    raw_3d, raw_flat, raw_names = (read_tarball(options.tarballs, name) for name in TARBALLS)
    webps, svgs, names = read_3d(raw_3d), read_flat(raw_flat), read_names(raw_names)
    rows, flat, three = [], [], []
    dropped = []
    for code, entry in names.items():
        if code not in webps or code not in svgs or SKIN_TONES & set(code.split("-")):
            continue
        png = resvg_py.svg_to_bytes(svgs[code], width=RENDER_PX, skip_system_fonts=True)
        pair = [to_tile(Image.open(io.BytesIO(raw))) for raw in (bytes(png), webps[code])]
        overlap = iou(*pair)
        if overlap < MIN_IOU:
            dropped.append(code)
            continue
        flat.append(pair[0])
        three.append(pair[1])
        rows.append({"code": code, "base": base_code(code), **entry, "iou": round(overlap, 4)})

    sheets = {"flat": np.stack(flat), "3d": np.stack(three)}
    pairs = [pair for tiles in sheets.values() for pair in near_pairs(tiles)]
    for row, fold in zip(rows, find_folds([row["base"] for row in rows], pairs), strict=True):
        row["fold"], row["split"] = fold, "test" if is_test(fold) else "train"
    for style, tiles in sheets.items():
        write_sheet(options.out / f"{style}.webp", tiles)
    head = {
        "size_px": SIZE_PX,
        "columns": COLUMNS,
        "sources": TARBALLS,
        "pixels_sha256": {
            style: hashlib.sha256(tiles.tobytes()).hexdigest() for style, tiles in sheets.items()
        },
        "dropped": dropped,
    }
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    text = json.dumps(head, indent=1)[:-2] + f',\n "pictures": [\n{lines}\n]}}\n'
    write_aside(options.out / "pack.json", text.encode())
    print(f"{len(rows)} pairs kept, {len(dropped)} dropped, in {options.out}")


if __name__ == "__main__":
    main()
