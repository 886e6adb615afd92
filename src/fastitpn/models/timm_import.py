"""Registration with timm as soon as somebody imports it, without importing it for that: it takes seconds.

`import fastitpn` registers the models in every process. That of the command, and `python -m fastitpn`, import the
package too, and must answer at once; no name of a program tells them from a user's script.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

REGISTRY = "fastitpn.models.registry"


class TimmFinder(MetaPathFinder):
    """Finds timm where it is found otherwise, and imports `REGISTRY` right after it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of timm, whose loader registers the models; None for all else."""
        if fullname != "timm":
            return None
        others = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in others if spec is not None), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                importlib.import_module(REGISTRY)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


def register_with_timm() -> None:
    """Register the models now if timm is there already, else when it is imported."""
    if "timm" in sys.modules:
        importlib.import_module(REGISTRY)
    elif not any(isinstance(finder, TimmFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, TimmFinder())
