"""`fastitpn export official`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import ExportOfficialConfig


def run_official(config: ExportOfficialConfig) -> object:
    """Calls `run_export_official`."""
    from fastitpn.engine.export_official import run_export_official

    return run_export_official(config)


OFFICIAL = Verb(
    config=ExportOfficialConfig,
    sentence="Write weights under the names of the published code, for software that was made for it.",
    example="fastitpn export official runs/pretrain out=fast_itpn.pt",
    run=run_official,
)
