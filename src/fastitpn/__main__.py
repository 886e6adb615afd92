"""`python -m fastitpn`, the same as `fastitpn`."""

from fastitpn.cli.main import entry

if __name__ == "__main__":
    entry()
