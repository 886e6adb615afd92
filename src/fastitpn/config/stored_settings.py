"""Settings as a run stored them, to compare them with those of today."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastitpn.config.fields import Config
from fastitpn.config.parse import assemble
from fastitpn.config.recipe import Given, flatten, to_dict
from fastitpn.errors import InputError

ConfigT = TypeVar("ConfigT", bound=Config)


def same_settings(config_class: type[Config], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings in the spellings of today, whatever version stored them.

    Args:
        config_class: What they are settings of.
        stored: Every key of the run; plain types.

    Returns:
        Dotted keys to plain values; those of `stored` as they are if no configuration can be made of them.
    """
    config = stored_config(config_class, stored)
    return flatten(stored) if config is None else flatten(to_dict(config))


def stored_config(config_class: type[ConfigT], stored: Mapping[str, Any]) -> ConfigT | None:
    """The configuration that settings of a run make today; None if they make none."""
    settings = flatten(stored)
    given = [Given(key=key, value=value) for key, value in settings.items()]
    try:
        config = assemble(config_class, given, silent=True)
        parts = {name: part for name, part in vars(config).items() if isinstance(part, Config)}
        before = {
            f"{name}.{key}": value
            for name, part in parts.items()
            for key, value in part._before.items()
            if f"{name}.{key}" not in settings
        }
        given += [Given(key=key, value=value) for key, value in before.items()]
        return assemble(config_class, given, silent=True) if before else config
    except InputError:
        return None
