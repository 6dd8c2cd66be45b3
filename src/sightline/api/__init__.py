"""Calls from Python that do what a command does, with results to work with: `sightline.compare`."""
