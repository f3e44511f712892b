"""A chosen pose as pictures, its file, and the fit that takes it as given."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hand_toolkit.avatar import Avatar
from hand_toolkit.cli import run
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.edit.generator import generated
from hand_toolkit.edit.guides import guides, placed_hands, save_pose
from hand_toolkit.pictures.drawing import picture_of
from hand_toolkit.pose.given import read_estimate
from hand_toolkit.testing.avatars import procedural_avatar


def test_nearer_skin_is_brighter_and_the_hand_is_where_its_keypoints_are() -> None:
    estimate = placed_hands("relaxed", size=(256, 320))
    drawn = guides(estimate, forearm=False)
    assert drawn.depth.shape == (320, 256)
    keys = estimate.hands[0].keypoints_2d
    for x, y in keys[[0, 5, 9, 13]]:
        assert drawn.depth[int(y), int(x)] > 50
    assert drawn.depth[0, 0] == 0
    assert drawn.mask.mean() > 0.05
    z = estimate.hands[0].joints_cam_m[:, 2]
    near, far = int(z.argmin()), int(z.argmax())
    if z[far] - z[near] > 0.03:
        shown = [drawn.depth[int(keys[k][1]), int(keys[k][0])] for k in (near, far)]
        assert shown[0] > shown[1]
    # palm to the camera: its middle's normal points there
    middle = keys[[0, 5, 17]].mean(axis=0).astype(int)
    assert drawn.normal[middle[1], middle[0], 2] > 200
    assert 0.003 < (drawn.canny > 0).mean() < 0.2


def test_a_forearm_lengthens_the_picture_alone() -> None:
    estimate = placed_hands("relaxed", size=(256, 256))
    bare, armed = guides(estimate, forearm=False), guides(estimate)
    assert (armed.depth > 0).sum() > (bare.depth > 0).sum() + 200
    assert abs(int(armed.mask.sum()) - int(bare.mask.sum())) < 0.05 * bare.mask.sum()


def test_the_back_and_both_hands() -> None:
    back = placed_hands("relaxed", view="back", side="both", size=(320, 256))
    assert [h.side for h in back.hands] == ["right", "left"]
    palm = placed_hands("relaxed", view="palm", side="both", size=(320, 256))
    order = [h.keypoints_2d[0, 0] for h in palm.hands]
    assert (order[0] < order[1]) != (
        back.hands[0].keypoints_2d[0, 0] < back.hands[1].keypoints_2d[0, 0]
    )


def test_a_pose_file_goes_there_and_back_at_another_size(tmp_path: Path) -> None:
    estimate = placed_hands("relaxed", size=(256, 320))
    save_pose(tmp_path / "pose.npz", estimate)
    same = read_estimate(tmp_path / "pose.npz", (256, 320))
    np.testing.assert_allclose(same.hands[0].theta, estimate.hands[0].theta, atol=1e-9)
    np.testing.assert_allclose(
        same.hands[0].keypoints_2d, estimate.hands[0].keypoints_2d, atol=1e-6
    )
    twice = read_estimate(tmp_path / "pose.npz", (512, 640))
    np.testing.assert_allclose(twice.hands[0].keypoints_2d, 2 * same.hands[0].keypoints_2d)
    with pytest.raises(InputError, match="same proportions"):
        read_estimate(tmp_path / "pose.npz", (640, 512))
    np.savez(tmp_path / "motion.npz", poses=np.zeros((1, 16, 3)))
    with pytest.raises(FileFormatError, match="depth --save-pose"):
        read_estimate(tmp_path / "motion.npz", (64, 64))


def test_the_commands_go_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A drawn avatar stands for the picture that another program makes of the depth."""
    pose, picture, out = tmp_path / "p.npz", tmp_path / "p.png", tmp_path / "me.hand"
    asked = ["depth", "--pose", "relaxed", "--size", "256x256", "--save-pose", str(pose)]
    assert run([*asked, "-o", str(tmp_path / "d.png")]) == 0
    assert Image.open(tmp_path / "d.png").size == (256, 256)
    estimate = read_estimate(pose, (256, 256))
    hand = estimate.hands[0]
    avatar = procedural_avatar(0, sides=("right",), splats_per_face=4)
    avatar = dataclasses.replace(
        avatar, hands=(dataclasses.replace(avatar.hands[0], shape=hand.shape),)
    )
    drawn = picture_of(
        avatar, {"right": hand.theta}, {"right": hand.translation}, estimate.camera, (0.1, 0.3, 0.2)
    )
    Image.fromarray(drawn).save(picture)
    fit = ["fit", str(picture), "--method", "texture", "--quality", "draft", "--pose", str(pose)]
    assert run([*fit, "-o", str(out)]) == 0
    fitted = Avatar.load(out)
    assert fitted.provenance["pose_source"] == "given"
    np.testing.assert_allclose(fitted.hand("right").source_theta, hand.theta, atol=1e-6)
    capsys.readouterr()
    assert run([*fit, str(picture), "-o", str(out)]) == 2
    assert "one photo" in capsys.readouterr().err


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "d.png")
    cases = {
        ("depth", "--pose", "nonsense", "-o", out): "unknown pose",
        ("depth", "--pose", str(tmp_path / "no.npz"), "-o", out): "does not exist",
        ("depth", "--view", "up", "-o", out): "unknown view",
        ("depth", "--size", "8x8", "-o", out): "accepted is 64",
        ("generate", "a hand", "--generator", "none", "-o", out): "no image generator 'none'",
        ("generate", "a hand", "-o", out): "downloads none",
        ("generate", "a hand", "--set", f"folder={tmp_path}", "-o", out): "no model_index.json",
        ("generate", "a hand", "--set", "steps=0", "-o", out): "steps",
    }
    for arguments, expected in cases.items():
        assert run(list(arguments)) == 2, arguments
        assert expected in capsys.readouterr().err
        assert not Path(out).exists()


def test_a_small_random_pipeline_makes_a_picture(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers", reason="the extra 'text' is not installed")
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    channels = (32, 64)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=channels,
        layers_per_block=1,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(16, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
        latent_channels=4,
    )
    words = tmp_path / "tokenizer"
    words.mkdir()
    vocabulary = ["<|startoftext|>", "<|endoftext|>", "a</w>", "h", "a", "n", "d</w>"]
    import json

    (words / "vocab.json").write_text(json.dumps({w: k for k, w in enumerate(vocabulary)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(
        str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=16
    )
    text = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            hidden_size=32,
            intermediate_size=37,
            num_attention_heads=4,
            num_hidden_layers=2,
            vocab_size=len(vocabulary),
            max_position_embeddings=16,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    control = diffusers.ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=(8, 8, 16, 16)
    )
    pipeline = diffusers.StableDiffusionControlNetPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        controlnet=control,
        scheduler=diffusers.DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(tmp_path / "pipeline")
    drawn = guides(placed_hands("relaxed", size=(64, 64)))
    settings = {"folder": str(tmp_path / "pipeline"), "steps": 2}
    told: list[float] = []
    first, again, other = (
        generated(
            "diffusers",
            prompt,
            drawn,
            settings=settings,
            seed=seed,
            progress=lambda part, text: told.append(part),
        )
        for prompt, seed in (("a hand", 1), ("a hand", 1), ("a hand", 2))
    )
    assert first.size == (64, 64)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.pixels != other.pixels).mean() > 0.1
    assert max(told) > 0.9
