"""Swap surgery: trained attention layers are replaced by other mechanisms, and what that costs is measured."""
