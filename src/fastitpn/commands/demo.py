"""`fastitpn demo`: the whole way on two cores, in minutes."""

from typing import TYPE_CHECKING, Any

from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.tasks.demo_config import DemoConfig

if TYPE_CHECKING:
    from fastitpn.runs.run import Run

VERB = Verb(
    config=DemoConfig,
    sentence="Run everything from pre-training to predictions on generated images.",
    example="fastitpn demo",
    run="fastitpn.tasks.demonstration:run_demo",
    trains=True,
)


def demo(**keys: Any) -> "Run":
    """The demonstration: see `fastitpn demo --help`.

    Returns:
        The run of the pre-trained and fine-tuned classifier.
    """
    run: Run = VERB(build(DemoConfig, keys))
    return run
