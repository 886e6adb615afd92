"""Formats of exported models, a file each."""
