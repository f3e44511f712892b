"""Pictures by a depth-conditioned ControlNet pipeline of diffusers, from the user's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hand_toolkit.core.errors import FileFormatError, InputError, missing_dependency
from hand_toolkit.core.options import Option
from hand_toolkit.core.types import Progress

if TYPE_CHECKING:
    from hand_toolkit.edit.generator import PictureRequest


class DiffusersGenerator:
    """Stable Diffusion with ControlNet (Zhang et al. 2023), whatever pipeline the folder holds.

    Nothing is downloaded: the folder is one that ``save_pretrained`` wrote or a model hub's client
    fetched, with the ControlNet inside or in a folder of its own.
    """

    name = "diffusers"
    description = "a diffusers ControlNet pipeline from a folder of yours (--set folder=...)"
    options = (
        Option("folder", str, "", "folder of the pipeline, in diffusers' layout"),
        Option("controlnet", str, "", "folder of the ControlNet, where the pipeline has none"),
        Option("guide", str, "depth", "what the ControlNet expects", ("depth", "normal", "canny")),
        Option("steps", int, 30, "denoising steps", minimum=1, maximum=1000),
        Option(
            "scale", float, 7.5, "how closely the words are followed", minimum=0.0, maximum=50.0
        ),
        Option(
            "strength", float, 1.0, "how closely the pose is followed", minimum=0.0, maximum=2.0
        ),
        Option("negative", str, "", "what the picture must not show"),
    )

    def generate(self, request: PictureRequest, progress: Progress) -> np.ndarray:
        """See :class:`hand_toolkit.edit.generator.ImageGenerator`."""
        how = request.settings
        folder = _folder(how["folder"], "pipeline", "model_index.json")
        try:
            import diffusers
            import torch
        except ImportError:
            raise missing_dependency("making pictures from words", "diffusers", "text") from None
        progress(0.05, "loading the pipeline")
        more: dict[str, Any] = {}
        try:
            if how["controlnet"]:
                own = _folder(how["controlnet"], "ControlNet", "config.json")
                more["controlnet"] = diffusers.ControlNetModel.from_pretrained(
                    str(own), local_files_only=True
                )
            kind = (
                diffusers.StableDiffusionControlNetPipeline if more else diffusers.DiffusionPipeline
            )
            pipeline = kind.from_pretrained(str(folder), local_files_only=True, **more)
        except (OSError, ValueError) as error:
            line = (str(error).splitlines() or [""])[0][:200]
            raise FileFormatError(
                f"{folder} holds no pipeline that can be loaded: {line}"
            ) from error
        if not hasattr(pipeline, "controlnet"):
            raise InputError(
                f"the pipeline in {folder} has no ControlNet, so it cannot follow a pose; name one "
                "with --set controlnet=FOLDER"
            )
        pipeline = pipeline.to(request.device)
        pipeline.set_progress_bar_config(disable=True)
        from PIL import Image

        guide = Image.fromarray(request.guides.picture(how["guide"])).convert("RGB")
        steps = int(how["steps"])

        def told(pipe: Any, step: int, time: Any, kept: dict[str, Any]) -> dict[str, Any]:
            progress(0.1 + 0.85 * (step + 1) / steps, f"step {step + 1} of {steps}")
            return kept

        result = pipeline(
            request.prompt,
            image=guide,
            negative_prompt=how["negative"] or None,
            width=guide.width // 8 * 8,
            height=guide.height // 8 * 8,
            num_inference_steps=steps,
            guidance_scale=float(how["scale"]),
            controlnet_conditioning_scale=float(how["strength"]),
            generator=torch.Generator("cpu").manual_seed(request.seed),
            callback_on_step_end=told,
        )
        return np.asarray(result.images[0].convert("RGB"))


def _folder(text: str, what: str, file: str) -> Path:
    if not text:
        raise InputError(
            f"the generator diffusers needs a folder with a {what} on this machine, and downloads "
            "none; give --set folder=FOLDER (docs/edits.md says what must be in it)"
        )
    folder = Path(text)
    if not (folder / file).is_file():
        raise InputError(f"{folder} has no {file}, so it is no {what} in diffusers' layout")
    return folder
