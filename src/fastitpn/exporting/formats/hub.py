"""A folder for timm, transformers and this package."""

from pathlib import Path
from typing import TYPE_CHECKING

from fastitpn.exporting.formats.base import ExportFormat

if TYPE_CHECKING:
    from fastitpn.exporting.config import ExportConfig
    from fastitpn.exporting.subject import Subject


class Hub(ExportFormat):
    """A folder that timm and transformers load, and this package where it has a head."""

    def export(self, config: "ExportConfig", subject: "Subject") -> Path:
        """Write the folder, load it, and compare."""
        from fastitpn.exporting.hub import write_hub

        return write_hub(config, subject)


FORMAT = Hub()
