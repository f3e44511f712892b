"""Skin: what a photo shows of it, its light, and completion where nothing was seen."""
