"""Stage two: photos to an avatar, with the network frozen (IGSN, section 3.3, Eq. 4-5)."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...avatar import Avatar
from ...core.errors import InputError
from ...core.types import Photo, PoseEstimate, Progress
from ...media.viewset import View, ViewSet
from ...skin.crop import crop_view
from ..texture.many_views import fit_texture_views
from ..texture.one_photo import TextureConfig
from .config import FitConfig
from .evidence import PhotoView
from .stage_two import Fitting
from .weights import Prior, load_prior


def fit_one_shot(
    photo: Photo,
    mask: np.ndarray,
    labels: np.ndarray,
    estimate: PoseEstimate,
    config: FitConfig | None = None,
    device: str = "cpu",
    progress: Progress = lambda fraction, message: None,
    prior: Prior | None = None,
    texture: TextureConfig | None = None,
) -> Avatar:
    """:func:`fit_views` of one photo.

    Args:
        photo: the picture.
        mask: (H, W) in [0, 1], the hands.
        labels: (H, W) int32, which hand of ``estimate`` each mask pixel shows, -1 for none.
        estimate: the hands' poses and the camera.
        config, device, progress, prior, texture: see there.
    """
    view = View(photo.name, lambda: photo, estimate.camera, estimate.hands, mask, labels)
    return fit_views(ViewSet((view,), photo.name), config, device, progress, prior, texture)


def fit_views(
    views: ViewSet,
    config: FitConfig | None = None,
    device: str = "cpu",
    progress: Progress = lambda fraction, message: None,
    prior: Prior | None = None,
    texture: TextureConfig | None = None,
) -> Avatar:
    """Make an avatar of one or two hands in one or more photos with the learned prior.

    All photos are evidence for the same maps, shape and calibration; each has its own light and
    poses.

    Args:
        views: photos of one person's hands, outlined.
        config: mode, steps, rates.
        device: torch device.
        progress: called with the part done and a message; may raise to stop.
        prior: trained weights; the shipped ones by default.
        texture: how the photos' own detail is laid over the network's skin; None leaves it out,
            and the avatar then is the network's splats.

    Returns:
        An avatar with both hands, in the light, pose and camera of the view that shows most; a
        hand that no view shows is the other's mirror image. Its ``extras`` hold the maps from
        which :class:`NeuralAvatar` evaluates the network.

    Raises:
        InputError: the hands are of another hand model than the prior, or a mask is empty.
    """
    config = config or FitConfig()
    prior = prior or load_prior()
    if views.hand_model != prior.config.hand_model:
        raise InputError(
            f"the prior was trained on hand model '{prior.config.hand_model}', but the pose is of "
            f"'{views.hand_model}'; choose that hand model, or the method 'texture'"
        )
    for view in views:
        if not (view.outlined()[0] > 0.5).any():
            raise InputError(
                f"the mask of '{view.name}' is empty; the fit needs at least one pixel of hand"
            )
    largest = config.size if texture is None else max(config.size, texture.max_size)
    crops = [crop_view(view, largest) for view in views]
    shown = [
        PhotoView(view.estimate, small.pixels, small.mask, small.camera, small.doubt)
        for view, small in zip(views, (crop.reduced(config.size) for crop in crops))
    ]
    fitting = Fitting(prior, shown, config, device)
    share = 0.9 if texture is None else 0.6
    fitting.run(lambda fraction, message: progress(share * fraction, message))
    progress(share + 0.02, "baking the avatar")
    reference = views.reference
    name = views[reference].name
    if texture is None:
        avatar = fitting.avatar(name, views[reference].camera, reference)
    else:
        refined = dataclasses.replace(
            views,
            views=tuple(
                dataclasses.replace(view, hands=fitting.estimate(view.estimate, k).hands)
                for k, view in enumerate(views)
            ),
        )
        sharp = fit_texture_views(
            refined,
            texture,
            device,
            lambda fraction, message: progress(0.65 + 0.35 * fraction, message),
            fitting.known_skin(),
            [crop.reduced(texture.max_size) for crop in crops],
        )
        provenance = {**sharp.provenance, **fitting.provenance(name)}
        avatar = dataclasses.replace(sharp, provenance=provenance, extras=fitting.extras())
    progress(1.0, "fitted")
    return avatar
