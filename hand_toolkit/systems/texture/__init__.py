"""The method ``texture``: the photo laid on the hand, hidden skin from a template."""
