"""Detectors, a file each."""
