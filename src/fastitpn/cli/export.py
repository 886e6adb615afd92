"""`fastitpn export`, and `fastitpn export official`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import ExportConfig, ExportOfficialConfig


def run(config: ExportConfig) -> object:
    """Calls `run_export`."""
    from fastitpn.exporting.export import run_export

    return run_export(config)


def run_official(config: ExportOfficialConfig) -> object:
    """Calls `run_export_official`."""
    from fastitpn.commands.export_official import run_export_official

    return run_export_official(config)


OFFICIAL = Verb(
    config=ExportOfficialConfig,
    sentence="Write weights under the names of the published code, for software that was made for it.",
    example="fastitpn export official runs/pretrain out=fast_itpn.pt",
    run=run_official,
)
VERB = Verb(
    config=ExportConfig,
    sentence="Write a model for ONNX, PyTorch, timm or transformers, and check that it does the same.",
    example="fastitpn export runs/classify format=onnx out=runs/onnx",
    run=run,
)
