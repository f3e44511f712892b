"""Previews, reports and sheets of avatars."""
