"""Settings as a run stored them, to compare them with those of today."""

from collections.abc import Mapping
from typing import Any

from fastitpn.config.fields import Config
from fastitpn.config.parse import assemble
from fastitpn.config.recipe import Given, flatten, to_dict
from fastitpn.errors import InputError


def same_settings(config_class: type[Config], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings in the spellings of today, whatever version stored them.

    Args:
        config_class: What they are settings of.
        stored: Every key of the run; plain types.

    Returns:
        Dotted keys to plain values; those of `stored` as they are if no configuration can be made of them.
    """
    flat = flatten(stored)
    try:
        config = assemble(config_class, [Given(key=key, value=value) for key, value in flat.items()], silent=True)
    except InputError:
        return flat
    return flatten(to_dict(config))
