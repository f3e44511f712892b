"""Scene formats: exporting avatars, listing formats, and importing files back."""

from __future__ import annotations

from .api import FormatInfo, export_avatar, format_of, formats
from .base import Exporter, ExportRequest, Option, Progress
from .importing import import_file

__all__ = [
    "Exporter",
    "ExportRequest",
    "FormatInfo",
    "Option",
    "Progress",
    "export_avatar",
    "format_of",
    "formats",
    "import_file",
]
