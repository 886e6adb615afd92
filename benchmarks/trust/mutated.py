"""Data files of every format, and recipes, damaged at random: the project's own errors, soon and in little memory."""

from pathlib import Path

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks

NUM_FORMATS, PER_FORMAT = 27, 2000


def data_file(number: int, seed: int, folder: Path) -> str | None:
    """A data set with one damaged file; the formats take turns."""
    from fuzzing import check_round, write_right
    from label_readers import FORMATS

    names = sorted(FORMATS)
    name = names[number % len(names)]
    place = folder / name.replace("/", "-").replace(" ", "-")
    if not place.exists():
        write_right(FORMATS[name], place)
    try:
        check_round(FORMATS[name], place, number // len(names), in_turn=True, seed=seed)
    except AssertionError as error:
        write_right(FORMATS[name], place)
        return f"{name}: {type(error.__cause__).__name__}: {error.__cause__}"[:200] + f" ({str(error)[:150]})"
    return None


def recipe(number: int, seed: int, folder: Path) -> str | None:
    """A shipped recipe, damaged, read by its verb."""
    from damaging import damage

    from fastitpn.config.parse import parse
    from fastitpn.errors import InputError
    from fastitpn.tasks.registry import TASKS

    rng = rng_of(seed, number)
    recipes = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
    source = rng.choice(recipes)
    task = source.name.partition("_")[0]
    config = TASKS.keys_of(task if task in TASKS else "pretrain").train
    (folder / "recipe.yaml").write_bytes(damage(source.read_bytes(), ".yaml", rng))
    try:
        parse(config, [f"recipe={folder / 'recipe.yaml'}", "data=photos"])
    except InputError:
        return None
    except Exception as error:
        return f"{source.name}: {type(error).__name__}: {error}"[:300]
    return None


ATTACKS = (
    Attacks(name="damaged data files", count=NUM_FORMATS * PER_FORMAT, attack=data_file),
    Attacks(name="damaged recipes", count=2000, attack=recipe),
)
