"""The learned prior: network, training, one-shot fit."""
