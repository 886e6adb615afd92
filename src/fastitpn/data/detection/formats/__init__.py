"""Formats of boxes, a file each."""
