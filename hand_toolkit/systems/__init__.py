"""One folder for each avatar method, under its own name."""
