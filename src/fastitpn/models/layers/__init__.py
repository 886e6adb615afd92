"""Layers, a concept each."""
