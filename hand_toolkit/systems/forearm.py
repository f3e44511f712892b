"""Hands with the forearm that belongs to them: found in the photo, its skin taken from there.

The class network tells the forearm's pixels. The forearm is turned about the wrist until its
outline agrees with them; its skin is the photo's where they show it, and else the hand's own tone,
continued over the surface. Where the photo shows no bare forearm (a sleeve, the picture's edge),
it stands straight and all of it is invented.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..avatar import Avatar, AvatarHand, SurfaceBinding, surface
from ..avatar.layout import lay_splats
from ..avatar.levels import LOOSE_M, joined_hand, thinned
from ..avatar.stump import open_edges
from ..core.errors import InputError
from ..core.options import Option
from ..core.types import Camera, HandPose, PoseEstimate
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from ..geometry.raster import rasterize_mesh
from ..geometry.surfaces import at_surface, vertex_normals
from ..hand_model import HandModel, pose_hand_numpy, rest_hand
from ..hand_model.arm import ARM_SUFFIX, wrist_bend
from ..skin.crop import crop_to_hands
from ..skin.observe import Observation, PosedSurface, observe, smoothstep
from ..skin.template import complete_log_albedo
from .fading import faded

if TYPE_CHECKING:
    from ..media.viewset import View

FOREARM_OPTION = Option(
    "forearm",
    str,
    "off",
    "13 cm of forearm beyond the wrist, with bones of its own, for the model 'default': on, fade "
    "(its splats vanish toward the elbow), or off (the hand ends at the wrist)",
    ("off", "on", "fade"),
)

WORK_PIXELS = 448
"""Size of the picture that the forearm's pixels are told in."""

LEAST_SEEN = 0.12
"""Part of the forearm's first centimetres that must show in the photo for it to be fitted."""

FLEXIONS_DEG, DEVIATIONS_DEG = np.arange(-75, 76, 15.0), np.arange(-25, 36, 10.0)

STIFFNESS = 0.06
"""How much overlap a wrist bent to 60 degrees must gain: outlines tell little of depth."""

SEAM_M, TONE_M = 0.018, 0.045
"""Skin of the hand nearer to the wrist than the first is seen anew, since there the hand's own mesh
ended and its light was misjudged; that up to the second tells the forearm's tone."""

AROUND, EVEN_M = 0.35, 0.09
"""Radians around the arm over which tone is taken, and metres in which its sides become alike."""

MOST_STEP = 0.35
"""Log albedo by which the forearm's tone is moved to the hand's at most; more is another thing."""

STRANGE = (0.35, 0.8)
"""Log albedo off the hand's own tone from which the photo is doubted, and not taken."""

MOTTLE = 0.045
"""Standard deviation of invented skin's unevenness, log albedo."""


@dataclass(frozen=True)
class SeenForearm:
    """What a photo shows of one forearm.

    Attributes:
        rotation: (3,) of the forearm to the hand.
        area: (H, W) float32 in [0, 1], the forearm's pixels.
    """

    rotation: np.ndarray
    area: np.ndarray


def add_forearms(avatar: Avatar, view: View | None, mode: str = "on") -> Avatar:
    """The avatar with forearms.

    Args:
        avatar: of the hand model "default".
        view: the photo that it was fitted to, outlined; None invents the forearms.
        mode: "on" or "fade".

    Raises:
        InputError: hands of another model.
    """
    if avatar.hand_model != "default":
        raise InputError(
            f"the hand model '{avatar.hand_model}' has no forearm; fit with --hand-model default, "
            "or without --set forearm"
        )
    arms: list[AvatarHand] = []
    for hand in avatar.hands:
        pose = None if view is None or not hand.observed else view.hand(hand.side)
        if pose is None and not hand.observed and arms:
            mirror = arms[0].mirrored()
            arms.append(dataclasses.replace(mirror, source_translation=hand.source_translation))
            continue
        arms.append(_with_arm(avatar, hand, pose, view, mode))
    if not avatar.hands[0].observed and len(arms) == 2 and avatar.hands[1].observed:
        mirror = arms[1].mirrored()
        where = avatar.hands[0].source_translation
        arms[0] = dataclasses.replace(mirror, source_translation=where)
    return dataclasses.replace(avatar, hand_model=avatar.hand_model + ARM_SUFFIX, hands=tuple(arms))


def _with_arm(
    avatar: Avatar, hand: AvatarHand, pose: HandPose | None, view: View | None, mode: str
) -> AvatarHand:
    level, name = avatar.level, avatar.hand_model
    hand = _without_dome(hand, surface(name, hand.side, level))
    first = len(surface(name, hand.side, level).faces)
    model = surface(name + ARM_SUFFIX, hand.side, level)
    binding = _lay(name + ARM_SUFFIX, hand, level, first)
    rotation, seen = np.zeros(3), None
    light = avatar.light
    rest = rest_hand(model, hand.shape)[0]
    away = np.abs(at_surface(rest, model.faces, hand.binding.triangle, hand.binding.barycentric))
    away = away[:, 0]
    seam, tells = away < SEAM_M, (away >= SEAM_M) & (away < TONE_M)
    both = _join(hand.binding.take(seam), binding)
    at_seam = np.arange(len(both)) < seam.sum()
    if pose is not None and view is not None:
        pixels = view.read().pixels
        forearm = find_forearm(pixels, hand, pose, model, first, view.camera)
        if forearm is not None:
            rotation = forearm.rotation
            seen = _observed(hand, both, model, forearm, view, pixels)
    theta = np.concatenate([hand.source_theta, rotation[None]])
    normals = seen.normals if seen is not None else _normals(model, hand, theta, both)
    evidence = np.zeros(len(both)) if seen is None else seen.evidence
    known = _log(srgb_to_linear(hand.albedo[tells]))
    template = _around(rest, model, hand.binding.take(tells), known)
    hidden = template(both) + _mottle(rest, model, both)[:, None] * (~at_seam)[:, None]
    log_albedo = hidden
    if seen is not None:
        log_albedo = _log(_albedo(seen, light))
        # two estimates of one light: the hand's is the one that the avatar is drawn in
        sure = seen.evidence > 0.3
        if sure.any():
            step = np.median((log_albedo - template(both))[sure], axis=0)
            log_albedo = log_albedo - np.clip(step, -MOST_STEP, MOST_STEP)
        # shadows, glare and cloth that are taken for skin are no tone of it
        off = np.linalg.norm(log_albedo - template(both), axis=1)
        evidence = evidence * (1 - smoothstep(off, *STRANGE))
        hidden = complete_log_albedo(
            np.concatenate([known, log_albedo]),
            np.concatenate([np.ones(len(known)), evidence]),
            np.concatenate([template(hand.binding.take(tells)), hidden]),
            model.faces[np.concatenate([hand.binding.triangle[tells], both.triangle])],
            np.concatenate([hand.binding.barycentric[tells], both.barycentric]).astype(float),
            model.faces,
        )[len(known) :]
    blend = smoothstep(evidence, 0.05, 0.6)[:, None]
    linear = np.exp(np.minimum(blend * log_albedo + (1 - blend) * hidden, 0.0))
    color = linear_to_srgb(linear * gentle_shading(light, normals))
    if seen is not None:
        color = blend * seen.color + (1 - blend) * color
    opacity = np.full(len(binding), float(np.median(hand.opacity)))
    albedo, color = linear_to_srgb(linear), _like(hand.color, color)
    invented = linear_to_srgb(np.exp(np.minimum(hidden, 0.0)))
    count = len(binding)
    arm = dataclasses.replace(
        hand,
        binding=binding,
        opacity=opacity,
        color=color[-count:],
        albedo=albedo[-count:],
        evidence=evidence[-count:],
        hidden=None if hand.hidden is None else invented[-count:],
    )
    if mode == "on":  # large splats show one by one where they let light through
        arm = thinned(arm)
    elif mode == "fade":
        arm = faded(arm, rest, model.faces)
    hand = _mended(hand, np.flatnonzero(seam), color[:-count], albedo[:-count], away[seam])
    whole = joined_hand(hand, np.arange(len(hand)), arm, np.arange(len(arm)))
    return dataclasses.replace(whole, source_theta=theta)


def _mended(
    hand: AvatarHand, which: np.ndarray, color: np.ndarray, albedo: np.ndarray, away: np.ndarray
) -> AvatarHand:
    """The hand with new colours at the seam, wholly at the wrist and less the farther from it."""
    part = 1 - smoothstep(away, 0.3 * SEAM_M, SEAM_M)
    new_color, new_albedo = hand.color.copy(), hand.albedo.copy()
    wide = part.reshape(-1, *[1] * (color.ndim - 1))
    new_color[which] = wide * color + (1 - wide) * new_color[which]
    new_albedo[which] = part[:, None] * albedo + (1 - part[:, None]) * new_albedo[which]
    return dataclasses.replace(hand, color=new_color, albedo=new_albedo)


def _log(linear: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(linear, 5e-3))


def _around(
    rest: np.ndarray, model: HandModel, binding: SurfaceBinding, known: np.ndarray
) -> Callable[[SurfaceBinding], np.ndarray]:
    """Log albedo (N, 3) of splats of an arm from that of skin near the wrist.

    What lies at the same side of the arm has the same tone there; toward the elbow all sides
    become alike.
    """

    def at(where: SurfaceBinding) -> tuple[np.ndarray, np.ndarray]:
        points = at_surface(rest, model.faces, where.triangle, where.barycentric.astype(float))
        return np.arctan2(points[:, 2], points[:, 1]), np.abs(points[:, 0])

    bins = np.linspace(-np.pi, np.pi, 73)[:-1]
    angle = at(binding)[0]
    weights = np.exp((np.cos(bins[:, None] - angle) - 1) / AROUND**2)
    ring = weights @ known / np.maximum(weights.sum(1, keepdims=True), 1e-12)
    mean = ring.mean(0)

    def tone(where: SurfaceBinding) -> np.ndarray:
        turn, far = at(where)
        own = np.stack([np.interp(turn, bins, c, period=2 * np.pi) for c in ring.T], 1)
        part = np.exp(-far / EVEN_M)[:, None]
        return np.asarray(part * own + (1 - part) * mean)

    return tone


def find_forearm(
    pixels: np.ndarray,
    hand: AvatarHand,
    pose: HandPose,
    model: HandModel,
    first: int,
    camera: Camera,
) -> SeenForearm | None:
    """The forearm in a photo; None where too little of it shows.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        hand: the avatar's hand.
        pose: as it stands in the photo.
        model: the hand with its forearm.
        first: its first face of the forearm.
        camera: the photo's.
    """
    chance, own, known, view = _classes(pixels, pose, camera)
    faces = model.faces[first:]

    def drawn(flexion: float, deviation: float) -> tuple[np.ndarray, np.ndarray]:
        rotation = wrist_bend(np.radians(flexion), np.radians(deviation), 0.0, hand.side)
        theta = np.concatenate([pose.theta, rotation[None]])
        vertices = pose_hand_numpy(model, theta, hand.shape, pose.translation)[0]
        return rotation, np.isfinite(rasterize_mesh(vertices, faces, view).depth)

    wrist = view.project(pose.translation[None])[0]
    centre = np.stack(np.meshgrid(np.arange(view.width), np.arange(view.height)), -1) + 0.5
    # the picture's forearm goes on where the mesh ends: only what lies as near as that counts
    reach = 0.11 * view.fx / pose.translation[2]
    inside = known & (np.linalg.norm(centre - wrist, axis=-1) < reach) & (own < 0.5)
    expected = np.pi * (0.025 * view.fx / pose.translation[2]) ** 2
    if (chance * inside).sum() < LEAST_SEEN * expected:
        return None

    def score(angles: tuple[float, float]) -> float:
        area = drawn(*angles)[1] & inside
        overlap = (chance * area).sum() / max(
            np.where(inside, np.maximum(chance, area), 0).sum(), 1
        )
        return float(overlap - STIFFNESS * (angles[0] ** 2 + 2 * angles[1] ** 2) / 60**2)

    best = max(itertools.product(FLEXIONS_DEG, DEVIATIONS_DEG), key=score)
    for step in (6.0, 3.0, 1.5):
        around = [(best[0] + i * step, best[1] + j * step) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        best = max(around, key=score)
    rotation, area = drawn(*best)
    if (chance * area * inside).sum() < LEAST_SEEN * max((area & inside).sum(), 1):
        return None
    grown = _grown(pixels, view, chance, own, known, area)
    return SeenForearm(rotation, _full(grown, pixels.shape[:2]))


def _classes(
    pixels: np.ndarray, pose: HandPose, camera: Camera
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Camera]:
    """Chances of forearm and of hand (h, w), where they are known, in a smaller picture."""
    import cv2

    from ..see.classes import FOREARM, OWN, class_network, predict_classes

    extent = np.ptp(pose.keypoints_2d, axis=0).max()
    factor = min(1.0, 0.6 * WORK_PIXELS / max(extent, 1), 1600 / max(pixels.shape[:2]))
    size = max(8, round(pixels.shape[1] * factor)), max(8, round(pixels.shape[0] * factor))
    small = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
    scale = np.array(size) / [pixels.shape[1], pixels.shape[0]]
    points = pose.keypoints_2d * scale
    region = predict_classes(class_network(), small, points, pose.side)
    known = np.zeros(small.shape[:2], bool)
    known[region.rows, region.columns] = True
    shape = (size[1], size[0])
    return region.whole(shape, FOREARM), region.whole(shape, OWN), known, camera.resized(*size)


def _grown(
    pixels: np.ndarray,
    view: Camera,
    chance: np.ndarray,
    own: np.ndarray,
    known: np.ndarray,
    area: np.ndarray,
) -> np.ndarray:
    """(h, w) skin within the forearm's mesh: the network's, and beyond its map what is like it.

    The map ends some centimetres from the wrist; beyond it GrabCut tells skin from surroundings.
    """
    import cv2

    certain = (chance > 0.7) & known
    # where hand and forearm meet, the two share what is skin
    skin = np.minimum(chance + own, 1.0)
    if known[area].all() or certain.sum() < 50:
        return (skin * area * known).astype(np.float32)
    small = cv2.resize(
        np.ascontiguousarray(pixels), (view.width, view.height), interpolation=cv2.INTER_AREA
    )
    labels = np.full(area.shape, cv2.GC_BGD, np.uint8)
    wide = cv2.dilate(area.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    labels[~wide & ~known] = cv2.GC_BGD
    labels[area & ~known] = cv2.GC_PR_FGD
    labels[certain] = cv2.GC_FGD
    rows, columns = np.nonzero(wide | certain)
    box = tuple(slice(max(x.min() - 40, 0), x.max() + 40) for x in (rows, columns))
    cut = np.ascontiguousarray(labels[box])
    hand = own[box] > 0.5
    cut[hand] = cv2.GC_FGD
    back, front = np.zeros((1, 65)), np.zeros((1, 65))
    whole = (0, 0, cut.shape[1], cut.shape[0])  # unused where a mask is given
    cv2.grabCut(np.ascontiguousarray(small[box]), cut, whole, back, front, 3, cv2.GC_INIT_WITH_MASK)
    found = np.zeros(area.shape, bool)
    found[box] = np.isin(cut, (cv2.GC_FGD, cv2.GC_PR_FGD)) & ~hand
    grown = np.where(known, skin, found & area)
    return (grown * area).astype(np.float32)


def _full(area: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    import cv2

    return np.asarray(cv2.resize(area, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))


def _observed(
    hand: AvatarHand,
    binding: SurfaceBinding,
    model: HandModel,
    forearm: SeenForearm,
    view: View,
    pixels: np.ndarray,
) -> Observation:
    """The photo at the forearm's splats."""
    pose = view.hand(hand.side)
    assert pose is not None
    estimate = PoseEstimate((pose,), view.camera)
    mask = np.maximum(forearm.area, view.outlined()[0]).astype(np.float32)
    labels = np.where(forearm.area > 0.5, 0, -1).astype(np.int32)
    crop = crop_to_hands(pixels, mask, labels, estimate, 900)
    surfaces: list[PosedSurface] = []
    for other in view.hands:
        alone = other.side != hand.side
        theta = np.concatenate([other.theta, (forearm.rotation * (not alone))[None]])
        vertices = pose_hand_numpy(
            surface(model.name, other.side, model.level), theta, other.shape, other.translation
        )[0]
        faces = surface(model.name, other.side, model.level).faces
        if alone:
            faces = faces[: len(surface("default", other.side, model.level).faces)]
        surfaces.append(PosedSurface(other.side, vertices, vertex_normals(vertices, faces), faces))
    surfaces.sort(key=lambda s: s.side != hand.side)
    masks = [crop.mask if s.side == hand.side else np.zeros_like(crop.mask) for s in surfaces]
    bindings = [binding, *(binding.take(np.zeros(0, int)) for _ in surfaces[1:])]
    seen, rim = observe(surfaces, bindings, crop.pixels, masks, crop.camera)
    del rim
    return seen[0]


def _albedo(seen: Observation, light: np.ndarray) -> np.ndarray:
    from .texture.fitted_skin import photo_shading

    return np.clip(srgb_to_linear(seen.color) / photo_shading(seen, light), 0, 1)


def gentle_shading(light: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N, 3) the photo's light on skin that it did not show, evened as on the hand."""
    from ..avatar.lighting import shade
    from .texture.fitted_skin import gentle

    return gentle(shade(light, normals), light)


def _without_dome(hand: AvatarHand, model: HandModel) -> AvatarHand:
    """The hand without the splats that close it at the wrist."""
    rim = np.unique(open_edges(model.faces))
    at_rim = np.isin(model.faces, rim).any(axis=1)[hand.binding.triangle]
    dome = at_rim & (np.linalg.norm(hand.binding.offset, axis=1) > LOOSE_M)
    return joined_hand(hand, ~dome, hand, np.zeros(len(hand), bool))


def _lay(name: str, hand: AvatarHand, level: int, first: int) -> SurfaceBinding:
    """Splats on the forearm's faces; the left's are the mirrored right's."""
    right = surface(name, "right", level)
    faces = right.faces[first:]
    laid = lay_splats(rest_hand(right, hand.shape)[0], faces, 16)
    flip = hand.side == "left"
    return SurfaceBinding(
        laid.triangle + first,
        laid.barycentric[:, [1, 0, 2]] if flip else laid.barycentric,
        laid.offset,
        laid.quat * ([1, 1, -1, -1] if flip else [1, 1, 1, 1]),
        laid.scale,
    )


def _normals(
    model: HandModel, hand: AvatarHand, theta: np.ndarray, binding: SurfaceBinding
) -> np.ndarray:
    vertices = pose_hand_numpy(model, theta, hand.shape, hand.source_translation)[0]
    normals = vertex_normals(vertices, model.faces)
    at = at_surface(normals, model.faces, binding.triangle, binding.barycentric.astype(float))
    return np.asarray(at / np.maximum(np.linalg.norm(at, axis=1, keepdims=True), 1e-9))


def _join(a: SurfaceBinding, b: SurfaceBinding) -> SurfaceBinding:
    names: Sequence[str] = ("triangle", "barycentric", "offset", "quat", "scale")
    return SurfaceBinding(*(np.concatenate([getattr(a, n), getattr(b, n)]) for n in names))


def _like(color: np.ndarray, srgb: np.ndarray) -> np.ndarray:
    """sRGB colours (N, 3) in the form of ``color``: plain or spherical harmonics."""
    from ..avatar.avatar import as_sh

    return as_sh(srgb.astype(np.float32), color.shape[1] if color.ndim == 3 else 0)


def _mottle(rest: np.ndarray, model: HandModel, binding: SurfaceBinding) -> np.ndarray:
    """(N,) unevenness of skin at splats, log albedo: what keeps invented skin from plastic."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    points = at_surface(rest, model.faces, binding.triangle, binding.barycentric.astype(float))
    rng = np.random.default_rng(0)
    total = np.zeros(len(points))
    for size, part in ((0.0022, 0.5), (0.006, 0.6), (0.018, 0.6)):
        cells = 32
        noise = gaussian_filter(rng.normal(size=(cells,) * 3), 0.7, mode="wrap")
        noise /= noise.std()
        at = (np.abs(points) + 1.0) / size % cells
        total += part * map_coordinates(noise, at.T, order=1, mode="grid-wrap")
    return MOTTLE * total
