"""Formats of labels of whole images, a file each."""
