"""Small modules that join mixers."""
