"""What is traced computes the same as what it is a copy of."""

import pytest
import torch
from torch import Tensor, nn

from fastitpn.exporting.network import Graph, Network
from fastitpn.tasks.segment.heads.upernet_network import UPerNetHead


class Pooled(Network):
    """A pool that, as in UPerNet, is held in a list as well."""

    outputs = ("pooled",)

    def __init__(self, side: int | tuple[int, int]) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(side)
        self.pools = [self.pool]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.pools[0](images),)


@pytest.mark.parametrize("side", [1, 2, 3, 6, (2, 5)])
@pytest.mark.parametrize("size", [(6, 6), (7, 10), (4, 13)])
def test_pooling_by_products_is_pooling(side, size):
    images, network = torch.randn(2, 3, *size), Pooled(side)
    graph = Graph(network, "fp32")
    torch.testing.assert_close(graph(images)[0], network(images)[0])
    assert type(network.pool) is nn.AdaptiveAvgPool2d
    assert type(graph.network.pools[0]) is not nn.AdaptiveAvgPool2d


def test_upernet_has_no_pool_left():
    head = UPerNetHead((8, 8, 8, 8, 8), 3, width=8)

    class Headed(Network):
        outputs = ("logits",)

        def __init__(self) -> None:
            super().__init__()
            self.head = head.eval()

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            return (self.head([images[..., ::s, ::s] for s in (1, 2, 4, 8, 16)])["logits"],)

    images = torch.randn(1, 8, 48, 80)
    network = Headed().eval()
    graph = Graph(network, "fp32")
    assert not [module for module in graph.modules() if type(module) is nn.AdaptiveAvgPool2d]
    with torch.no_grad():
        torch.testing.assert_close(graph(images)[0], network(images)[0])


def test_half_inside_and_float_outside():
    graph = Graph(Pooled(2), "bf16")
    assert graph(torch.randn(1, 3, 8, 8))[0].dtype == torch.float32
    assert graph.dtype == torch.bfloat16
