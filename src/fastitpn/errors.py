"""The errors of fastitpn: each says what was wrong, where, what was expected and what to type next."""


class FastITPNError(Exception):
    """Base of all errors raised on purpose. The command line ends with `exit_code` and no traceback."""

    exit_code = 1


class InputError(FastITPNError, ValueError):
    """The command, its data or its files are wrong, and the user can mend it.

    Args:
        what: What was wrong, one sentence.
        where: File (and line) or key path.
        expected: What would have been right.
        fix: What to type next.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: object = None, expected: str | None = None, fix: str | None = None):
        self.what, self.where, self.expected, self.fix = what, where, expected, fix
        lines = [what]
        for title, value in (("where", where), ("expected", expected), ("fix", fix)):
            if value is not None:
                lines.append(f"  {title + ':':<10}{value}")
        super().__init__("\n".join(lines))


class TrainingError(FastITPNError):
    """Training cannot go on (for example losses that stay non-finite)."""
