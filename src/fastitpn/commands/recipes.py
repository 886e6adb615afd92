"""`fastitpn recipes`: the recipes that come with this package."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fastitpn.commands.verb import Verb
from fastitpn.config import Config, build
from fastitpn.config.shipped import ShippedRecipe, names, read_header
from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.nearest import nearest_name


@dataclass(frozen=True, kw_only=True)
class RecipesConfig(Config):
    """Recipes."""

    _command: ClassVar[str] = "recipes"
    _positional: ClassVar[tuple[str, ...]] = ("name",)

    name: str | None = None
    """Recipe to print, to be saved and changed; without a name all are listed."""


VERB = Verb(
    config=RecipesConfig,
    sentence="List the recipes for recipe=NAME, or print one to change it.",
    example="fastitpn recipes classify_small",
    run="fastitpn.commands.recipes:run_recipes",
)


def recipes(name: str | None = None, **keys: Any) -> Sequence[ShippedRecipe]:
    """List the recipes that come with this package, or print one.

    Args:
        name: Print this one.
        **keys: There are no further keys; one is an error.

    Returns:
        The recipes, each with `name`, `path`, `sentence` and `header`.

    Raises:
        InputError: There is no such recipe or key.
    """
    return run_recipes(build(RecipesConfig, keys if name is None else {"name": name, **keys}))


def run_recipes(config: RecipesConfig) -> Sequence[ShippedRecipe]:
    """Say what there is, or what is in one.

    Raises:
        InputError: There is no such recipe.
    """
    if config.name is None:
        every = [read_header(name) for name in names()]
        width = max(len(recipe.name) for recipe in every)
        for recipe in every:
            say(f"{recipe.name:<{width}}  {recipe.sentence}")
        say("\nrecipe=NAME uses one, such as fastitpn finetune classify recipe=classify_small data=PHOTOS.")
        return every
    name = config.name.removesuffix(".yaml")
    if name not in names():
        near = nearest_name(name, names())
        raise InputError(
            f"there is no recipe {config.name!r}",
            expected="one that `fastitpn recipes` lists",
            fix=f"fastitpn recipes {near}" if near else "fastitpn recipes",
        )
    recipe = read_header(name)
    say(recipe.path.read_text(encoding="utf-8").rstrip("\n"))
    return (recipe,)
