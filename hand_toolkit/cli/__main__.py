"""``python -m hand_toolkit.cli``."""

from . import main

main()
