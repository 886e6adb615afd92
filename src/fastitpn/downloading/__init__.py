"""Fetching published weights, for `fastitpn weights get` alone."""
