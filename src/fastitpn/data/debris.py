"""Folders and files that file systems, archives and editors leave behind: never images, classes or labels."""

DEBRIS = frozenset(
    name.casefold()
    for name in (
        "__MACOSX", "Network Trash Folder", "Temporary Items",  # macOS
        "$RECYCLE.BIN", "RECYCLER", "System Volume Information", "FOUND.000", "Thumbs.db", "desktop.ini",  # Windows
        "lost+found",  # Linux
        "@eaDir", "@tmp", "@Recycle", "@Recently-Snapshot", "@__thumb", "#recycle", "#snapshot",  # network storage
        "__pycache__",
    )
)  # fmt: skip
"""Their names, in lower case; the others, such as .ipynb_checkpoints and ._1.jpg, are hidden."""


def is_left_out(name: str) -> bool:
    """Whether a file or folder is left out for its name: hidden, or debris."""
    return name.startswith(".") or name.casefold() in DEBRIS
