"""Segmentation heads, a file each."""
