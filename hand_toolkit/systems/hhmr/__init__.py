"""HHMR: one diffusion model of hand meshes that generates, completes, reconstructs and fits."""
