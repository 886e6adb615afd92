"""Typed configurations: the grammar of `key=value`, recipes, checks, help. Imports nothing heavy: --help is quick."""

from fastitpn.config.explain import explain, usage
from fastitpn.config.fields import Config, Field, fields_of
from fastitpn.config.parse import build, parse
from fastitpn.config.recipe import to_command, to_dict, to_yaml

__all__ = ["Config", "Field", "build", "explain", "fields_of", "parse", "to_command", "to_dict", "to_yaml", "usage"]
