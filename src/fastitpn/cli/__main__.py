"""`python -m fastitpn.cli` is the command `fastitpn`."""

from fastitpn.cli.main import entry

entry()
