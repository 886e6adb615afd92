"""Weights from files: ours, the published ones, and those of others."""
