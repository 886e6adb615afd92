"""Data: images are found, checked, decoded, transformed, and served by data sets whose every sample can be repeated."""
