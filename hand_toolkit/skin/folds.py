"""Where skin meets skin: shadows that are no skin, and tone that goes on where skin is hidden."""

from __future__ import annotations

import numpy as np

from ..avatar import surface
from .observe import smoothstep
from .uv_layout import LEVEL, UVLayout
from .uv_observation import CHANNELS, UVObservation, from_cut

CLOSED, HALF_OPEN = (0.4, 0.9), (0.6, 0.95)
"""Openness of a place that lies in a fold, and outside of any; and within a fist, and outside."""

DARKER, DEEP = (0.2, 0.5), (0.45, 0.8)
"""Log luminance below hidden skin from which a place may lie in a shadow, and surely does."""

REDDER = (0.12, 0.3)
"""Log hue off hidden skin that says so: light that comes through fingers is red."""


def contact_shadow(seen: UVObservation, over: np.ndarray) -> np.ndarray:
    """(N,) 0 on skin ... 1 where two parts of a hand touch and the photo shows the gap's shadow.

    In fists the fit is a millimetre or two off, so that a dark line between fingers comes to lie on
    one of them. Light that gets there has passed skin: the shadow is dark and red, which light's
    own limits do not allow for. Ink and lacquer are elsewhere, too.

    Args:
        seen: the photo at N texels.
        over: (N, 3) log albedo that was observed, without shade, over that of hidden skin.
    """
    openness = seen.inputs[:, CHANNELS.index("openness")]
    beside = seen.inputs[:, CHANNELS.index("beside")]
    fold, fist = (
        np.maximum(np.clip(beside, 0, 1), 1 - smoothstep(openness, *limits))
        for limits in (CLOSED, HALF_OPEN)
    )
    grey = over.mean(axis=1)
    hue = np.abs(over - grey[:, None]).max(axis=1)
    red = smoothstep(-grey, *DARKER) * smoothstep(hue, *REDDER) * (over.argmax(axis=1) == 0)
    result: np.ndarray = np.maximum(fold * smoothstep(-grey, *DEEP), fist * red)
    return result


STIFF, FREE = 4.0, 0.05
"""Weights of neighbours' difference and of no step at all, against a vertex that is believed; their
ratio makes a step fall to a third within nine edges of the mesh, some 3 cm."""

SPILT = (0.1, 0.25)
"""Log green over red, above that of hidden skin, that is of other things' light."""

NEITHER_DARK_NOR_PALE = (0.35, 0.7)
"""Log luminance off hidden skin to which that holds: ink is darker, and pale patches are paler."""


def spilt_light(over: np.ndarray) -> np.ndarray:
    """(N,) 1 where skin is green or blue as only light from a wall or a mask's error makes it.

    Args:
        over: (N, 3) log albedo that was observed, without shade, over that of hidden skin.
    """
    grey = over.mean(axis=1)
    plain = 1 - smoothstep(np.abs(grey), *NEITHER_DARK_NOR_PALE)
    result: np.ndarray = smoothstep(over[:, 1] - over[:, 0], *SPILT) * plain
    return result


WRIST_M = (0.02, 0.035)
"""Metres from the mesh's end up to which a cuff may reach, and beyond which none does."""

CLOTH = (0.15, 0.3)
"""Log hue off hidden skin that there is of a cuff, or of what its cloth throws on the skin."""


def cuff(over: np.ndarray, layout: UVLayout) -> np.ndarray:
    """(N,) 1 at the wrist where the photo shows the edge of a sleeve or its colour.

    The mask ends at the cuff, a pixel or two late; left in, it is a coloured ring.

    Args:
        over: (N, 3) log albedo that was observed, without shade, over that of hidden skin.
        layout: of its texels.
    """
    hue = np.abs(over - over.mean(axis=1, keepdims=True)).max(axis=1)
    result: np.ndarray = smoothstep(hue, *CLOTH) * (1 - from_cut(layout, WRIST_M))
    return result


MOST, MOST_HUE = 0.35, 0.12
"""Log luminance of believed over hidden skin that goes on, and hue beside it: more is no tone."""


def continued_tone(
    over: np.ndarray, belief: np.ndarray, layout: UVLayout
) -> tuple[np.ndarray, np.ndarray]:
    """What to add to hidden skin, so that it meets believed skin without a step.

    The difference of both goes on from where skin is believed as the smoothest function over the
    surface, and fades with the distance (a screened membrane).

    Args:
        over: (N, 3) log albedo of believed over hidden skin.
        belief: (N,) 0 to 1.
        layout: of both.

    Returns:
        (N, 3) to add, and (N, 1) how near believed skin is: 1 there ... 0 far away.
    """
    import scipy.sparse as sparse
    from scipy.sparse.linalg import splu

    faces = surface(layout.hand_model, "right", LEVEL).faces
    vertices = int(faces.max()) + 1
    grey = over.mean(axis=1, keepdims=True)
    limited = np.clip(grey, -MOST, MOST) + np.clip(over - grey, -MOST_HUE, MOST_HUE)
    share = layout.barycentric * belief[:, None]
    corners = layout.corners.ravel()
    weight = np.bincount(corners, share.ravel(), vertices)
    pulled = [np.bincount(corners, (share * c[:, None]).ravel(), vertices) for c in limited.T]
    per_vertex = len(belief) / vertices
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ones = np.ones(len(edges))
    adjacent = sparse.csr_matrix((ones, (edges[:, 0], edges[:, 1])), (vertices, vertices))
    adjacent = adjacent.maximum(adjacent.T)
    laplacian = sparse.diags(np.asarray(adjacent.sum(1)).ravel()) - adjacent
    matrix = sparse.diags(weight / per_vertex + FREE) + STIFF * laplacian
    right = np.stack([*pulled, weight], axis=1) / per_vertex
    field = layout.at(splu(matrix.tocsc()).solve(right))
    return field[:, :3], field[:, 3:]
