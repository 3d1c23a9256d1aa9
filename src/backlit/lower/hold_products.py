"""Products of matrices kept apart from what is added to them.

PyTorch's compiler joins a product and an addition to one call of the library, which copies what is
added before it multiplies. Beside a loop that reads the product anyway the addition is free: a
time step of a recurrent net takes 50 to 60 us for the product alone and 80 for both.
"""

from __future__ import annotations

from torch.fx import GraphModule

from backlit.gates.base import aten
from backlit.lower.insert import read_whole, renewed
from backlit.lower.passes.common import value


def hold_products(gm: GraphModule) -> int:
    """Puts a view, of all there is, between a product and an addition to it.

    Args:
        gm: a flat graph whose wires know their value's shape (``meta["val"]``); changed in place.
    Returns: products kept apart.
    """
    held = 0
    for node in list(gm.graph.nodes):
        if node.target is aten.add.Tensor and not node.kwargs:
            for product in node.all_input_nodes:
                if product.target is aten.mm.default and value(product) is not None:
                    read_whole(product, [node])
                    held += 1
    return renewed(gm, held)
