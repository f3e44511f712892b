"""Large steps for vertices that stay smooth (Nicolet, Jacobson and Jakob 2021).

Gradients of a picture reach a mesh at outlines and creases alone; followed vertex by vertex they
make spikes there and nothing beside. Here each step goes through (I + λL)⁻¹ twice, so that
neighbours come along, and all coordinates have one step length (the paper's Algorithm 1).
"""

from __future__ import annotations

import numpy as np
import torch

from .losses import mesh_edges


class SmoothSteps:
    """Adam over one (V, C) parameter of a mesh's vertices, in the coordinates u = (I + λL) x."""

    def __init__(
        self,
        parameter: torch.nn.Parameter,
        faces: np.ndarray,
        rate: float,
        smoothing: float,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        """Factorize the mesh.

        Args:
            parameter: (V, C), moved in place.
            faces: (F, 3) of its mesh.
            rate: longest step of u, in the parameter's unit.
            smoothing: λ; 10 spreads a step over about three vertices, 50 over seven.
            betas: of Adam's two means.
        """
        import scipy.sparse as sparse
        from scipy.sparse.linalg import splu

        count = len(parameter)
        edges = mesh_edges(faces)
        i, j = np.concatenate([edges, edges[:, ::-1]]).T
        near = sparse.coo_matrix((np.ones(len(i)), (i, j)), (count, count)).tocsc()
        degree = sparse.diags(np.asarray(near.sum(1)).ravel())
        self._solve = splu((sparse.identity(count) + smoothing * (degree - near)).tocsc()).solve
        self.parameter, self.rate, self.betas = parameter, rate, betas
        self._mean = np.zeros(tuple(parameter.shape))
        self._square, self._steps = 0.0, 0

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameter along its gradient."""
        if self.parameter.grad is None:
            return
        grad = self._solve(self.parameter.grad.double().numpy())
        first, second = self.betas
        self._steps += 1
        self._mean = first * self._mean + (1 - first) * grad
        self._square = second * self._square + (1 - second) * float(np.abs(grad).max()) ** 2
        mean = self._mean / (1 - first**self._steps)
        size = np.sqrt(self._square / (1 - second**self._steps))
        moved = self._solve(self.rate * mean / (size + 1e-12))
        self.parameter.sub_(torch.from_numpy(moved).to(self.parameter))
