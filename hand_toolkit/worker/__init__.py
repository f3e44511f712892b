"""The worker: fits, poses, renders and exports for a host program such as Blender.

``hand-toolkit serve`` (or ``python -m hand_toolkit.worker``) reads framed requests from stdin and
writes frames to stdout until the host closes the pipe; see :mod:`.protocol`.
"""

from .protocol import PROTOCOL_VERSION
from .server import serve

__all__ = ["PROTOCOL_VERSION", "serve"]
