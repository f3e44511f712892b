"""IGSN: the learned prior of hands as Gaussians, its training and its one-shot fit."""
