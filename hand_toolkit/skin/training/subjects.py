"""Skins as log albedo on the UV layout: pictures, drawn detail, and endless mixtures of both.

Few hands were ever photographed for free textures, so subjects are mixed by frequency bands:
the slow part of one skin, the fine part of another, other melanin, hue, palms and nails. Skins
that share a photographed hand are one *family*; scores hold out whole families.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...avatar import surface
from ...core.conventions import FINGERS
from ...core.errors import InputError
from ...geometry.colour import linear_to_srgb, srgb_to_linear
from ...synth.appearance import Appearance
from ...synth.markings import palmar_share
from ...synth.skin import MELANIN_ABSORPTION, bake, nail_coordinates
from ...synth.surface import load_surface
from ...synth.texels import SKIN_SIZE, TexelMap, build_texel_map
from ..uv_layout import LEVEL, UVLayout, bilinear, uv_layout
from ..uv_observation import DARKEST

SUBJECT_SIZE = 512
"""Texels of a subject's skin, 0.56 mm each."""

NAIL_FACTOR = np.array([1.24, 1.34, 1.30])
"""Drawn nail beds over the skin around them: the synthesizer's own are darker than skin, people's
paler."""

RIP, RIP_REACH = 4.0, 3
"""Neighbours this many times farther apart in a picture than most lie on different skin; and the
texels around that are filled with them."""

PACK_QUALITY = 100
"""Of WebP pictures of subjects."""

SLOW_SIGMA = 9.0
"""Texels of the Gaussian between slow and fine parts: 5 mm."""


@dataclass(frozen=True)
class Subject:
    """One subject's log albedo relative to nothing, at the N texels of the training layout.

    Attributes:
        family: key of ``families.FAMILIES``, or "drawn" for the skin without a picture.
        canonical: (N, 3) with the canonical seed of detail, without tattoos, spots and rings.
        own: (N, 3) as the subject is.
    """

    family: str
    canonical: np.ndarray
    own: np.ndarray


def layout() -> UVLayout:
    """The layout that subjects are drawn on."""
    return uv_layout("default", SUBJECT_SIZE)


@dataclass(frozen=True, eq=False)
class _Texels:
    """The synthesizer's texels and where the layout's lie among them and on the skins' atlas."""

    map: TexelMap
    pixel: np.ndarray
    atlas: np.ndarray


@lru_cache(maxsize=1)
def _texels() -> _Texels:
    from scipy.spatial import cKDTree

    texels, uv = build_texel_map(load_surface("right")), layout()
    model = surface("default", "right", LEVEL)
    if model.atlas_uvs is None:
        raise InputError("the default hand has no atlas coordinates; rebuild its data")
    atlas = np.einsum("nk,nkc->nc", uv.barycentric, model.atlas_uvs[model.uv_faces[uv.face]])
    place = atlas * [SKIN_SIZE, -SKIN_SIZE] + [0, SKIN_SIZE]
    island = texels.islands[0]
    source, target = np.array(island.source, float), np.array(island.target, float)
    pixel = (place - source[:2]) / (source[2:] - source[:2]) * (target[2:] - target[:2]) + target[
        :2
    ]
    inside = ((place >= source[:2]) & (place <= source[2:])).all(1)
    if not inside.all():
        near = cKDTree(uv.rest[inside]).query(uv.rest[~inside])[1]
        pixel[~inside] = pixel[inside][near]
    return _Texels(texels, pixel, place)


def drawn(look: Appearance, skin: np.ndarray | None) -> np.ndarray:
    """(N, 3) log albedo of a skin picture (None for none) with drawn detail."""
    from scipy.ndimage import gaussian_filter

    texels = _texels()
    picture = gaussian_filter(bake(texels.map, look, skin, "right").albedo, (0.8, 0.8, 0))
    return np.log(np.maximum(bilinear(picture, texels.pixel), DARKEST))


def pictured(skin: np.ndarray) -> np.ndarray:
    """(N, 3) log albedo of a MakeHuman skin (S, S, 3) uint8 as it is."""
    linear = srgb_to_linear(bilinear(skin, _texels().atlas) / 255)
    return np.log(np.maximum(linear, DARKEST))


def palm_mask() -> np.ndarray:
    """(N, 1) 1 on the palm and the pads, 0 on the back."""
    texels = _texels()
    return bilinear(texels.map.image(palmar_share(texels.map)[:, None]), texels.pixel)


def nail_mask() -> np.ndarray:
    """(N, 1) 1 on the drawn nails."""
    texels = _texels()
    inside = np.zeros(len(texels.map.index))
    for f in range(len(FINGERS)):
        across, along = nail_coordinates(texels.map, f)
        centred = 2 * along - 1
        outline = np.abs(across) ** (2.6 + 2 * np.clip(centred, 0, 1)) + np.abs(centred) ** 3.2
        inside = np.maximum(inside, np.clip((1.0 - outline) / 0.16, 0, 1))
    return bilinear(texels.map.image(inside[:, None]), texels.pixel)


def without_rips(values: np.ndarray, at: np.ndarray, extra: np.ndarray | None = None) -> np.ndarray:
    """(N, 3) values, filled from around where neighbours' places (N, 2) in a picture lie apart.

    There the surfaces do not match, and texels take their skin now from one side of a cut in the
    picture, now from the other. Texels of ``extra`` (N,) are filled, too.
    """
    from scipy.ndimage import binary_dilation, gaussian_filter

    own = layout()
    image, place, covered = own.image(values), own.image(at), own.covered
    steps = [np.linalg.norm(np.diff(place, axis=a, append=place[-1:] if a == 0 else place[:, -1:]),
                            axis=2) for a in (0, 1)]  # fmt: skip
    step = np.maximum(*steps)
    ripped = (step > RIP * np.median(step[covered])) & covered
    nails = own.image(nail_mask())[..., 0] > 0.05  # a nail's edge is a cut of the picture, too
    ripped &= ~binary_dilation(nails, iterations=2 * RIP_REACH)
    if extra is not None:
        ripped |= own.image(extra[:, None])[..., 0]
    ripped = binary_dilation(ripped, iterations=RIP_REACH) & covered
    known = (covered & ~ripped).astype(np.float64)
    filled, share = np.zeros_like(image), np.zeros(covered.shape)
    for sigma in (3.0, 9.0, 27.0):  # the nearest skin decides, the wider fills what it leaves
        part = gaussian_filter(known, sigma)
        soft = gaussian_filter(image * known[..., None], (sigma, sigma, 0))
        new = np.clip(part / 0.05, 0, 1) * (1 - share)
        filled += new[..., None] * soft / np.maximum(part, 1e-6)[..., None]
        share += new
    filled /= np.maximum(share, 1e-6)[..., None]
    smooth = np.clip(gaussian_filter(ripped.astype(np.float64), 1.5) * 2, 0, 1)[..., None]
    result: np.ndarray = (image + smooth * (filled - image)).reshape(-1, values.shape[1])
    return result[own.index]


def save_subjects(path: Path, subjects: list[Subject]) -> None:
    """Write subjects as float16 arrays, or as pictures where the file's name ends in ``.pack``."""
    if path.suffix == ".pack":
        _save_pictures(path, subjects)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        family=np.array([s.family for s in subjects]),
        canonical=np.stack([s.canonical for s in subjects]).astype(np.float16),
        own=np.stack([s.own for s in subjects]).astype(np.float16),
    )


def load_subjects(path: Path, families: tuple[str, ...] = ()) -> list[Subject]:
    """Read what :func:`save_subjects` wrote, all families or the named ones.

    Raises:
        InputError: no such file, or nobody of those families in it.
    """
    if not path.is_file():
        raise InputError(f"no subjects at {path.name}; make them with the command 'subjects' first")
    with np.load(path, allow_pickle=False) as data:
        own_family = [str(f) for f in data["family"]]
        if "length" in data:
            canonical, own = _from_pictures(data["pictures"], data["length"])
        else:
            canonical, own = data["canonical"], data["own"]
    subjects = [
        Subject(f, c.astype(np.float32), o.astype(np.float32))
        for f, c, o in zip(own_family, canonical, own)
        if f in families or not families
    ]
    if not subjects:
        raise InputError(f"{path.name} has nobody of {families}; it has {sorted(set(own_family))}")
    return subjects


def _save_pictures(path: Path, subjects: list[Subject]) -> None:
    """A twelfth of the arrays' size; canonical and own pictures in turn, sRGB WebP."""
    import cv2

    how, coded = [cv2.IMWRITE_WEBP_QUALITY, PACK_QUALITY], []
    for subject in subjects:
        for values in (subject.canonical, subject.own):
            shown = linear_to_srgb(np.exp(layout().image(values)))
            picture = np.clip(shown * 255 + 0.5, 0, 255).astype(np.uint8)
            coded.append(cv2.imencode(".webp", picture[..., ::-1], how)[1].ravel())
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(
            file,
            family=np.array([s.family for s in subjects]),
            length=np.array([len(c) for c in coded]),
            pictures=np.concatenate(coded),
        )


def _from_pictures(pictures: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    result = []
    for part in np.split(pictures, np.cumsum(length)[:-1]):
        picture = cv2.imdecode(part, cv2.IMREAD_COLOR)[..., ::-1]
        linear = srgb_to_linear(picture.reshape(-1, 3)[layout().index] / 255)
        result.append(np.log(np.maximum(linear, DARKEST)))
    return np.stack(result[::2]), np.stack(result[1::2])


class Mixer:
    """Endless subjects: the slow part of one skin, the fine part of another, other pigments."""

    def __init__(self, subjects: list[Subject]) -> None:
        self.layout = layout()
        self.palm, self.nail = palm_mask(), nail_mask()
        self.slow = [slow_part(self.layout, s.canonical) for s in subjects]
        self.fine = [(s.canonical - low, s.own - low) for s, low in zip(subjects, self.slow)]
        size = Counter(s.family for s in subjects)
        share = np.array([size[s.family] ** -0.5 for s in subjects])
        self.share = share / share.sum()
        """(S,) how often each subject is drawn: a family of many drawn subjects is one photo."""

    def draw(self, rng: np.random.Generator, plain: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Canonical and own log albedo, (N, 3) each; without fine detail if ``plain``."""
        count = len(self.slow)
        first, second, other = rng.choice(count, size=3, p=self.share)
        fine = first if rng.random() < 0.5 else second
        share = rng.uniform(0, 0.5) * (rng.random() < 0.3)
        low = self.slow[first] * (1 - share) + self.slow[other] * share
        low = (
            low - rng.normal() * 0.2 * MELANIN_ABSORPTION + rng.normal(size=3) * [0.03, 0.03, 0.06]
        )
        low = low + self.palm * (rng.normal() * np.array([0.06, 0.10, 0.12]))
        if plain:
            low = np.clip(low, -5, 0)
            return low, low
        gain = np.exp(rng.normal() * 0.2)
        canonical, own = (low + gain * part for part in self.fine[fine])
        if rng.random() < 0.12:  # lacquer, alike on all nails
            tint = np.log(rng.uniform(0.03, 0.9, 3)) - np.log([0.45, 0.27, 0.2])
            canonical = canonical + self.nail * tint
            own = own + self.nail * tint
        if rng.random() < 0.06:
            own = own + self._patches(rng)
        return np.clip(canonical, -5, 0), np.clip(own, -5, 0)

    def _patches(self, rng: np.random.Generator) -> np.ndarray:
        """Skin with too much or too little pigment in patches: vitiligo, henna, birthmarks."""
        from ...synth.noise import noise

        field = noise(self.layout.rest, rng.uniform(25, 90), int(rng.integers(1 << 30)), 3)
        patch = np.clip((field - rng.uniform(0.05, 0.35)) / 0.06, 0, 1)[:, None]
        amount = 0.45 if rng.random() < 0.5 else -rng.uniform(0.2, 0.9)
        return patch * amount * MELANIN_ABSORPTION


def slow_part(layout: UVLayout, values: np.ndarray) -> np.ndarray:
    """(N, C) of the layout's values without detail finer than about 5 mm."""
    from scipy.ndimage import gaussian_filter

    covered = layout.covered.astype(np.float64)
    sigma = SLOW_SIGMA * layout.size / SUBJECT_SIZE
    share = gaussian_filter(covered, sigma)
    image = layout.image(values) * covered[..., None]
    soft = gaussian_filter(image, (sigma, sigma, 0)) / np.maximum(share, 1e-4)[..., None]
    return soft.reshape(-1, values.shape[1])[layout.index]
