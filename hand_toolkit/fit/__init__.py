"""Fitting: a photo and its pose to an avatar."""
