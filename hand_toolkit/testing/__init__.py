"""Contract checks that plugin authors run against their own plugins."""

from __future__ import annotations
