"""timm's wrapper for `features_only`, which here takes the files that its model takes."""

import logging
from collections.abc import Mapping
from typing import Any

from timm.models._features import FeatureGetterNet
from torch import nn
from torch.nn.modules.module import _IncompatibleKeys

logger = logging.getLogger(__name__)

_INSIDE = "model."
"""What the names of the wrapped model's tensors begin with."""


class FeatureMaps(FeatureGetterNet):
    """A model that returns its feature maps."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of any module; what has other names is for the model inside, as timm's checkpoint_path gives it.

        Args:
            state_dict: Names to tensors.
            strict: Refuse what does not fit.
            assign: Take the tensors themselves, not their values.

        Returns:
            Names that are missing, and names that have no place.
        """
        if any(name.startswith(_INSIDE) for name in state_dict):
            return super().load_state_dict(state_dict, strict, assign)
        return load_as_module(self.model, state_dict, strict)


def load_as_module(model: nn.Module, state_dict: Mapping[str, Any], strict: bool) -> _IncompatibleKeys:
    """Load weights, and answer as `torch.nn.Module.load_state_dict` does.

    Raises:
        InputError: They do not fit (`strict`).
    """
    from fastitpn.models.weights.loading import load_weights  # which imports the models

    report = load_weights(model, state_dict, strict=strict)
    logger.info("%s", report)
    return _IncompatibleKeys([] if report.ok else report.missing, report.unexpected)
