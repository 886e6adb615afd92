"""Google Drive asks before it sends large files: its page is read by gdown, and what is fetched is checked here."""

import importlib.util
from urllib.parse import urljoin

from fastitpn.errors import InputError
from fastitpn.models.weights.published import PublishedFile


def drive_address(file: PublishedFile) -> str:
    """Where Google Drive sends a file from, or the page that asks.

    Raises:
        InputError: gdown is not installed.
    """
    if importlib.util.find_spec("gdown") is None:
        raise InputError(
            "fetching from Google Drive needs gdown, which is not installed",
            where=file.link,
            expected="pip install 'fastitpn[download]'",
            fix=f"pip install 'fastitpn[download]', or fetch the link with a browser and move the file to {file.path}",
        )
    return f"https://drive.google.com/uc?export=download&id={file.drive}"


def confirmed_address(page: str, asked: str, file: PublishedFile) -> str:
    """The address that the form on Drive's page leads to.

    Args:
        page: The page's HTML.
        asked: The address of the page.
        file: The file.

    Raises:
        InputError: The page has no such form, for example because too many have fetched the file.
    """
    from gdown.download import get_url_from_gdrive_confirmation
    from gdown.exceptions import FileURLRetrievalError

    try:
        return urljoin(asked, get_url_from_gdrive_confirmation(page))
    except (FileURLRetrievalError, KeyError, AssertionError) as error:
        reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    raise InputError(
        f"Google Drive sent a page in place of {file.file}: {reason or 'without a form'}",
        where=file.link,
        expected="the file",
        fix=f"try again tomorrow, or fetch the link with a browser and move the file to {file.path}",
    )
