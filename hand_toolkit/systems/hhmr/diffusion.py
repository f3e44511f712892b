"""Noise levels, and sampling by DDIM with condition-aligned guidance (HHMR, sections 3, 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .conditions import Conditions
from .config import BETA_FIRST, BETA_LAST, STEPS
from .network import HhmrNetwork

Misfit = Callable[[torch.Tensor], torch.Tensor]
"""(B, V, 3) predicted meshes -> (B,) squared distance of O(x0) to the condition."""

LARGEST_SHIFT = 0.5
"""Of the predicted mesh by one step of guidance, ``UNIT_M`` rms."""


def signal_share(device: torch.device | str = "cpu") -> torch.Tensor:
    """(STEPS,) products of 1 - beta: the clean mesh's share of the variance at each level."""
    beta = torch.linspace(BETA_FIRST, BETA_LAST, STEPS, device=device, dtype=torch.float64)
    return (1 - beta).cumprod(0).float()


def noised(
    mesh: torch.Tensor, step: torch.Tensor, noise: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """The mesh (B, V, 3) at noise levels (B,) (Ho et al. 2020, eq. 4)."""
    kept = share[step][:, None, None]
    return kept.sqrt() * mesh + (1 - kept).sqrt() * noise


@dataclass(frozen=True)
class Guidance:
    """What samples are pulled to.

    Attributes:
        misfit: squared distance of what a mesh shows to what is wanted.
        scale: 1 goes as far at each step as would close the gap, were it linear in the noisy
            mesh; 0 does not guide.
    """

    misfit: Misfit
    scale: float = 1.0


def sample(
    network: HhmrNetwork,
    conditions: Conditions,
    steps: int = 20,
    seed: int = 0,
    guidance: Guidance | None = None,
    eta: float = 0.0,
) -> torch.Tensor:
    """Meshes from noise by DDIM (Song et al. 2020, eq. 12).

    Args:
        network: trained.
        conditions: of B hands.
        steps: evaluations of the network, 1 to ``STEPS``.
        seed: of the noise; hand k of a batch has the noise that it would have alone.
        guidance: what the samples shall agree with, beyond the conditions.
        eta: share of fresh noise; 0 is deterministic given the seed.

    Returns:
        (B, V, 3) in ``UNIT_M``.
    """
    count, device = len(conditions), conditions.upright.device
    vertices = len(network.pyramid.levels[0].rows)
    share = signal_share(device)
    with torch.no_grad():
        tokens, valid = network.encode(conditions)
    levels = torch.linspace(STEPS - 1, 0, steps, device=device).round().long()
    x = seeded_noise(count, vertices, seed, 0).to(device)
    clean = x
    for k, level in enumerate(levels):
        step = level.expand(count)
        kept = share[level]

        def predicted(noisy: torch.Tensor, step: torch.Tensor = step) -> torch.Tensor:
            return network(noisy, step, tokens, valid, conditions.upright)

        if guidance is None or guidance.scale == 0:
            with torch.no_grad():
                clean = predicted(x)
        else:
            clean = _guided(predicted, x, guidance)
        if k == len(levels) - 1:
            break
        after = share[levels[k + 1]]
        noise = (x - kept.sqrt() * clean) / (1 - kept).sqrt()
        fresh = eta * ((1 - after) / (1 - kept) * (1 - kept / after)).clamp_min(0).sqrt()
        x = after.sqrt() * clean + (1 - after - fresh**2).clamp_min(0).sqrt() * noise
        if eta:
            x = x + fresh * seeded_noise(count, vertices, seed, k + 1).to(device)
    return clean


def _guided(
    predicted: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, guidance: Guidance
) -> torch.Tensor:
    """The predicted mesh, moved along the gradient of the misfit through the network.

    A step of Polyak's length along -g closes the gap of a linear misfit at once; moving the
    predicted mesh by the change that it causes keeps one evaluation a step.
    """
    with torch.enable_grad():
        noisy = x.detach().requires_grad_(True)
        clean = predicted(noisy)
        leaf = clean.detach().requires_grad_(True)
        misfit = guidance.misfit(leaf)
        (pull,) = torch.autograd.grad(misfit.sum(), leaf)
        (back,) = torch.autograd.grad(clean, noisy, pull)
    squared = (back**2).sum((1, 2)).clamp_min(1e-12)
    length = guidance.scale * 2 * misfit.detach() / squared
    # what the shift of the noisy mesh does to the clean one, to first order
    with torch.no_grad():
        moved = predicted(x - length.clamp_max(1e6)[:, None, None] * back)
        change = moved - clean.detach()
        size = (change**2).mean((1, 2), keepdim=True).sqrt().clamp_min(1e-9)
        change = change * (LARGEST_SHIFT / size).clamp_max(1.0)
        best, least = clean.detach(), misfit.detach()
        for part in (1.0, 0.5, 0.25, 0.1):
            trial = clean.detach() + part * change
            cost = guidance.misfit(trial)
            better = cost < least
            best = torch.where(better[:, None, None], trial, best)
            least = torch.where(better, cost, least)
        return best


def seeded_noise(count: int, vertices: int, seed: int, step: int) -> torch.Tensor:
    """(count, vertices, 3) of the CPU's generator: the same on every device."""
    noise = []
    for k in range(count):
        generator = torch.Generator().manual_seed((seed * 1_000_003 + k) * 1009 + step)
        noise.append(torch.randn(vertices, 3, generator=generator))
    return torch.stack(noise)


def denoising_error(
    network: HhmrNetwork, mesh: torch.Tensor, conditions: Conditions, seed: int = 0,
    levels: tuple[int, ...] = (350, 500, 650, 800), draws: int = 2,
) -> torch.Tensor:  # fmt: skip
    """(B,) how badly meshes are found again in noise: low where they are likely.

    The mean squared error of x0 over some noise levels, each in units of what is usual there;
    up to weights it is the variational bound on -log p (Ho et al. 2020, eq. 12). All hands
    meet the same noise, so that hypotheses of one photo can be compared.

    Args:
        network: trained.
        mesh: (B, V, 3) in ``UNIT_M``.
        conditions: of the B hands.
        seed: of the noise.
        levels: noise levels.
        draws: of noise at each level.
    """
    share = signal_share(mesh.device)
    total = mesh.new_zeros(len(mesh))
    with torch.no_grad():
        tokens, valid = network.encode(conditions)
        for k, level in enumerate(levels):
            for draw in range(draws):
                noise = seeded_noise(1, mesh.shape[1], seed, 100 + k * draws + draw).to(mesh.device)
                step = torch.full((len(mesh),), level, device=mesh.device)
                noisy = noised(mesh, step, noise.expand_as(mesh), share)
                found = network(noisy, step, tokens, valid, conditions.upright)
                weight = share[level] / (1 - share[level])
                total = total + weight * ((found - mesh) ** 2).sum((1, 2))
    return total / (len(levels) * draws)
