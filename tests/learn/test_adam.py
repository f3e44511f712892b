"""The quick Adam is torch's."""

from __future__ import annotations

import subprocess
import sys

import torch

from hand_toolkit.learn.adam import Adam


def test_steps_are_those_of_torch() -> None:
    start = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    ends = []
    for kind in (Adam, torch.optim.Adam):
        p, q = start.clone().requires_grad_(True), start[0].clone().requires_grad_(True)
        unused = torch.zeros(2, requires_grad=True)
        groups = [{"params": [p, unused], "lr": 0.1}, {"params": [q], "lr": 0.01, "eps": 1e-3}]
        optimizer = kind(groups, betas=(0.9, 0.99))
        for step in range(7):
            optimizer.param_groups[0]["lr"] *= 0.9
            optimizer.zero_grad()
            ((p - 1).square().sum() + (q * p.detach()[0]).sum().square() + step).backward()
            optimizer.step()
        ends.append((p.detach(), q.detach()))
    for ours, theirs in zip(*ends):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_does_not_import_the_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from hand_toolkit.learn.adam import Adam\n"
        "p = torch.ones(2, requires_grad=True)\n"
        "o = Adam([{'params': [p], 'lr': 0.1}])\n"
        "p.sum().backward(); o.step(); o.zero_grad()\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
