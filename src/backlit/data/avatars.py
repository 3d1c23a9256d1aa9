"""People to be recognised: each is one face emoji, seen in many views.

Shapes: N views of 3 S S.
"""

import numpy as np
import torch
from PIL import Image

from backlit.data.chance import Chance
from backlit.data.fluent import emoji
from backlit.data.labelled import Labelled, split
from backlit.data.options import check_size
from backlit.errors import DataError


def avatars(
    people: int = 10,
    views: int = 80,
    size: int = 32,
    skip: int = 0,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Labelled:
    """Views of face emoji, each face a person: turned, shifted, scaled, tinted, noisy.

    A view is a pure function of (seed, person, view). The people are spread over the 104 bundled
    faces in a fixed order, so that `skip` passes over those another set has: two sets with
    `people` 10 and `skip` 0 and 10 share no one.

    Args:
        people: classes, 2..104 - skip.
        views: pictures of each, at least 4.
        size: edge in pixels, 8..64.
        skip: people left out at the start of the order.
        validation, test: shares of each person's views.
        seed: decides the views and the shares.

    Returns:
        inputs float32 (N, 3, S, S) in [-1, 1]; targets int64 (N,), the person.

    Raises:
        DataError: a number that is not allowed.
    """
    check_size(size, 64)
    faces = emoji("3d", group="faces", size=64, background="rgba")
    if size < 8 or people < 2 or views < 4 or not 0 <= skip <= len(faces) - people:
        raise DataError(
            f"avatars: expected people from 2 and skip from 0, together at most {len(faces)}, views"
            f" from 4 and size of 8..64; got people {people}, skip {skip}, views {views}, size"
            f" {size}"
        )
    # 37 has no divisor in common with 104: neighbours in the pack are much alike.
    chosen = [37 * k % len(faces) for k in range(skip, skip + people)]
    pictures = np.stack(
        [
            _view(Image.fromarray(faces.pictures[face]), size, Chance(seed, face, view))
            for face in chosen
            for view in range(views)
        ]
    )
    targets = torch.arange(people).repeat_interleave(views)
    train, held, tested = split(len(targets), validation, test, seed, targets)
    half = torch.full((3, 1, 1), 0.5)
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # (N, C, H, W)
    return Labelled(
        name="avatars",
        inputs=pixels.float().div_(127.5).sub_(1).contiguous(),
        targets=targets,
        classes=tuple(faces.names[face] for face in chosen),
        train=train,
        validation=held,
        test=tested,
        facts=(f"{views} views of each of {people} face emoji; the parts share people, not views",),
        mean=half,
        std=half,
    )


def _view(face: Image.Image, size: int, chance: Chance) -> np.ndarray:
    """One view, uint8 (H, W, 3)."""
    angle, scale = float(chance.uniform(-30, 30)), float(chance.uniform(0.75, 1.05))
    shift = (chance.below(13) - 6, chance.below(13) - 6)
    turned = face.rotate(angle, Image.Resampling.BICUBIC, translate=shift)
    edge = round(64 / scale)
    canvas = Image.new("RGB", (edge, edge), tuple(int(c) for c in chance.uniform(90, 256, 3)))
    corner = (edge - 64) // 2
    canvas.paste(turned, (corner, corner), turned)
    pixels = np.asarray(canvas.resize((size, size), Image.Resampling.LANCZOS), np.float64)
    tint, light = chance.uniform(0.75, 1.25, 3), float(chance.uniform(-25, 25))
    noise = chance.uniform(-30, 30, size, size, 3)
    return (pixels * tint + light + noise).round().clip(0, 255).astype(np.uint8)
