"""Criteria by the name that `Migration(metric=)` takes."""

from typing import TYPE_CHECKING

from fastitpn.registry import Registry

if TYPE_CHECKING:
    from fastitpn.models.acceleration.criteria.base import Criterion

CRITERIA: Registry["Criterion"] = Registry(
    "metric",
    {
        "bipartite": "fastitpn.models.acceleration.criteria.bipartite:CRITERION",
        "mean": "fastitpn.models.acceleration.criteria.mean:CRITERION",
        "attention": "fastitpn.models.acceleration.criteria.attention:CRITERION",
        "learned": "fastitpn.models.acceleration.criteria.learned:CRITERION",
        "random": "fastitpn.models.acceleration.criteria.chance:CRITERION",
    },
)
