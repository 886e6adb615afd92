"""Formats of masks, a file each."""
