"""The linear head: its keys, which are none but its name."""

from dataclasses import dataclass
from typing import Any, ClassVar

from fastitpn.tasks.heads import HeadSpec
from fastitpn.tasks.segment.heads.registry import SegmentHeadKeys


@dataclass(frozen=True, kw_only=True)
class LinearKeys(SegmentHeadKeys):
    """Head: linear."""

    weighs_classes: ClassVar[bool] = True

    name: str = "linear"


def _build(*args: Any) -> Any:
    from fastitpn.tasks.segment.heads.linear_network import LinearHead

    return LinearHead(*args)


HEAD = HeadSpec(keys=LinearKeys, arguments=lambda keys, dim, px: {}, build=_build)
