"""`fastitpn visualize SUBJECT`: a verb for each subject."""

from fastitpn.cli.verb import Verb
from fastitpn.config import VisualizeTokensConfig


def run_tokens(config: VisualizeTokensConfig) -> object:
    """Calls `run_visualize_tokens`."""
    from fastitpn.visualization.tokens import run_visualize_tokens

    return run_visualize_tokens(config)


TOKENS = Verb(
    config=VisualizeTokensConfig,
    sentence="Draw which tokens leave the trunk at which step, and what each window gathers.",
    example="fastitpn visualize tokens runs/classify photos acceleration=balanced",
    run=run_tokens,
)
