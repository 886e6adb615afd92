"""Criteria of token migration: by what tokens leave, a file each."""
