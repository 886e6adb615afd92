"""What a task gives to `fastitpn export`."""


class Exportable:
    """The network to export, with what compares and measures it."""
