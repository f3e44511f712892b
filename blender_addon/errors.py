# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the extension raises on purpose."""

from __future__ import annotations


class HandError(Exception):
    """One line for the artist; the operator reports it and changes nothing."""
