"""The layers of the experiment local-attention: notebook 04's own without positions, the paper's equation 3 with them."""

from __future__ import annotations

import math

import pytest
import torch

from solutions.local_attention import LocalAttention2d
from utils.experiments.grids.local_attention import ATTENTION, CONVOLUTION, RELATIVE, LocalAttention, Network


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_without_positions_it_is_the_notebook_s_layer(kernel_size):
    torch.manual_seed(0)
    ours, theirs = LocalAttention(6, kernel_size, False).double(), LocalAttention2d(6, kernel_size).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x))
    gradients = [torch.autograd.grad(layer(x).square().sum(), x)[0] for layer in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_with_positions_it_is_equation_3_pixel_by_pixel():
    torch.manual_seed(1)
    layer = LocalAttention(4, 3, True).double()
    x = torch.randn(1, 4, 4, 5, dtype=torch.float64)
    query, key, value = (f(x)[0] for f in (layer.query, layer.key, layer.value))
    rows, columns = layer.positions
    for i in range(4):
        for j in range(5):
            places = [
                (a, b) for a in range(i - 1, i + 2) for b in range(j - 1, j + 2) if 0 <= a < 4 and 0 <= b < 5
            ]
            offset = [torch.cat([rows[:, a - i + 1], columns[:, b - j + 1]]) for a, b in places]
            scores = [query[:, i, j] @ (key[:, a, b] + r) for (a, b), r in zip(places, offset, strict=True)]
            weights = (torch.stack(scores) / math.sqrt(4)).softmax(0)
            wanted = sum(w * value[:, a, b] for w, (a, b) in zip(weights, places, strict=True))
            torch.testing.assert_close(layer(x)[0, :, i, j], wanted)


def test_only_positions_tell_where_a_neighbour_is():
    """A window whose neighbours change places: without positions the pixel in its middle gets the same."""
    torch.manual_seed(2)
    x = torch.randn(1, 4, 3, 3, dtype=torch.float64)
    mirrored = x.flip(-1)
    for relative in (False, True):
        layer = LocalAttention(4, 3, relative).double()
        same = torch.allclose(layer(x)[..., 1, 1], layer(mirrored)[..., 1, 1])
        assert same != relative


def test_the_networks_differ_in_their_layers_alone():
    sizes = {
        layer: {name: p.shape for name, p in Network(layer, 8, 10).named_parameters()}
        for layer in (CONVOLUTION, ATTENTION, RELATIVE)
    }
    shared = set.intersection(*map(set, sizes.values()))
    assert len({tuple(sizes[layer][name] for name in sorted(shared)) for layer in sizes}) == 1
    assert {name.split(".")[2] for layer in sizes for name in sizes[layer].keys() - shared} == {"0"}
