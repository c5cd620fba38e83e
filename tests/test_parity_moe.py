"""Mixture of experts against Switch Transformers and Mixtral of `transformers`, and against a loop written here.

Outputs and gradients, float64 where the library allows it. Every parameter is drawn, inputs have both signs, no two sizes
are equal. Where the definitions differ, the tests say how.
"""

from __future__ import annotations

import math
from importlib.metadata import version

import pytest
import torch
import torch.nn.functional as F
from packaging.version import Version
from torch import Tensor, nn

from solutions.moe import MoELayer
from solutions.routing import keep_within_capacity, load_balancing_loss, top_k_router
from tests.parity import assert_same
from tests.peers import import_transformers

DIM, HIDDEN, EXPERTS = 6, 10, 4


@pytest.fixture(scope="module")
def switch():
    """transformers' module of Switch Transformers."""
    import_transformers()
    if Version(version("transformers")) < Version("5.14"):
        pytest.skip("its router of Switch Transformers returned other values before 5.14")
    from transformers.models.switch_transformers import modeling_switch_transformers

    return modeling_switch_transformers


@pytest.fixture(scope="module")
def mixtral():
    """transformers' module of Mixtral."""
    import_transformers()
    from transformers.models.mixtral import modeling_mixtral

    return modeling_mixtral


def draw(*shape: int, seed: int, grad: bool = False) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.requires_grad_(grad)


def drawn(module: nn.Module, seed: int = 100) -> nn.Module:
    """Every parameter redrawn, in float64."""
    module = module.double()
    with torch.no_grad():
        for i, (_, parameter) in enumerate(sorted(module.named_parameters())):
            parameter.copy_(draw(*parameter.shape, seed=seed + i) * 0.6)
    return module.eval()


def gradients(output: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad(
        (output * draw(*output.shape, seed=999)).sum(), list(leaves.values()), allow_unused=True
    )
    return {
        name: torch.zeros_like(leaf) if grad is None else grad
        for (name, leaf), grad in zip(leaves.items(), found, strict=True)
    }


# Router ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "experts", "k"), [(9, 5, 2), (7, 4, 3), (6, 3, 3), (8, 6, 1)])
def test_renormalised_router_is_mixtrals(mixtral, tokens, experts, k):
    config = mixtral.MixtralConfig(hidden_size=DIM, num_local_experts=experts, num_experts_per_tok=k)
    theirs = drawn(mixtral.MixtralTopKRouter(config))
    x = draw(tokens, DIM, seed=1)
    logits, weights, chosen = theirs(x)  # its softmax is in float32
    ours, ours_chosen = top_k_router(logits, k, renormalize=True)
    assert torch.equal(ours_chosen, chosen)
    torch.testing.assert_close(ours.float(), weights, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(9, 5), (6, 3), (12, 2)])
def test_router_for_one_expert_is_switchs(switch, shape):
    tokens, experts = shape
    theirs = drawn(switch.SwitchTransformersTop1Router(switch_config(switch, tokens, experts)))
    theirs.dtype = torch.float64
    x = draw(1, tokens, DIM, seed=2, grad=True)
    index, probability, logits = theirs(x)
    weights, chosen = top_k_router(x[0] @ theirs.classifier.weight.T, 1)
    assert torch.equal(chosen[:, 0], index[0].argmax(-1)) and bool((index.sum(-1) == 1).all())
    assert_same({"weights": weights}, {"weights": probability[0]})
    leaves = {"x": x, "router": theirs.classifier.weight}
    assert_same(gradients(weights, leaves), gradients(probability[0], leaves))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_renormalising_is_a_softmax_over_the_chosen_scores(k):
    """The order of Shazeer et al. (2017): first the top k, then the softmax."""
    logits = draw(7, 5, seed=3, grad=True)
    scores, chosen = logits.topk(k)
    weights, ours = top_k_router(logits, k, renormalize=True)
    assert torch.equal(ours, chosen)
    assert_same({"weights": weights}, {"weights": scores.softmax(-1)})
    if k == 1:
        assert gradients(weights, {"logits": logits})["logits"].abs().max() < 1e-15, "1 has no gradient"
    else:
        leaves = {"logits": logits}
        assert_same(gradients(weights, leaves), gradients(scores.softmax(-1), leaves))


# The layer ---------------------------------------------------------------------------------------------------------


def switch_config(switch, capacity: int, experts: int = EXPERTS):
    return switch.SwitchTransformersConfig(
        d_model=DIM,
        d_ff=HIDDEN,
        num_experts=experts,
        expert_capacity=capacity,
        router_jitter_noise=0.0,
        dropout_rate=0.0,
        dense_act_fn="gelu",
    )


def switch_layer(switch, capacity: int) -> nn.Module:
    """Switch's layer with drawn weights, its router in float64, too (the configuration offers float32 at most)."""
    theirs = drawn(switch.SwitchTransformersSparseMLP(switch_config(switch, capacity)))
    theirs.router.dtype = torch.float64
    return theirs


def from_switch(theirs: nn.Module, factor: float) -> MoELayer:
    """Our layer with Switch's weights; their experts have no biases, so ours are zero."""
    ours = MoELayer(DIM, HIDDEN, EXPERTS, k=1, capacity_factor=factor).double()
    with torch.no_grad():
        ours.router.weight.copy_(theirs.router.classifier.weight)
        for number, expert in enumerate(ours.experts):
            expert[0].weight.copy_(theirs.experts[f"expert_{number}"].wi.weight)
            expert[2].weight.copy_(theirs.experts[f"expert_{number}"].wo.weight)
            expert[0].bias.zero_(), expert[2].bias.zero_()
    return ours


@pytest.mark.parametrize(("tokens", "factor"), [(12, 1.0), (20, 0.5), (9, 4.0)])
def test_layer_is_switchs(switch, tokens, factor):
    """One sequence: Switch of `transformers` counts places in each sequence, the paper and we in the whole batch."""
    capacity = math.ceil(factor * tokens / EXPERTS)
    theirs = switch_layer(switch, capacity)
    ours = from_switch(theirs, factor)
    assert ours.capacity(tokens) == capacity
    x = draw(1, tokens, DIM, seed=4, grad=True)
    expected, output = theirs(x), ours(x)[0]
    dropped = int((expected == 0).all(-1).sum())
    assert (dropped > 0) == (factor < 4), "the cases with little room should drop something"
    assert_same({"output": output}, {"output": expected})
    named = {"x": x, "router": theirs.router.classifier.weight}
    own = {"x": x, "router": ours.router.weight}
    for number in range(EXPERTS):
        named[f"{number}.in"] = theirs.experts[f"expert_{number}"].wi.weight
        named[f"{number}.out"] = theirs.experts[f"expert_{number}"].wo.weight
        own[f"{number}.in"] = ours.experts[number][0].weight
        own[f"{number}.out"] = ours.experts[number][2].weight
    assert_same(gradients(output, own), gradients(expected, named))


def test_sequences_compete_for_places_here_and_do_not_in_transformers(switch):
    theirs = switch_layer(switch, capacity=2)
    x = draw(3, 8, DIM, seed=5)
    each = torch.cat([from_switch(theirs, 1.0)(one[None])[0] for one in x])
    torch.testing.assert_close(each, theirs(x), rtol=0, atol=1e-12)
    assert not torch.allclose(from_switch(theirs, 1.0)(x)[0], theirs(x)), "together: other tokens are dropped"


class MixtralExpert(nn.Module):
    """One of Mixtral's experts, a gated network, taken out of the library's stacked weights."""

    def __init__(self, experts: nn.Module, number: int) -> None:
        super().__init__()
        self.inner = nn.Parameter(experts.gate_up_proj[number].detach().clone())
        self.outer = nn.Parameter(experts.down_proj[number].detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        gate, up = (x @ self.inner.T).chunk(2, dim=-1)
        return (F.silu(gate) * up) @ self.outer.T


@pytest.mark.parametrize("k", [1, 2, 3])
def test_layer_with_mixtrals_experts_is_mixtrals(mixtral, k):
    config = mixtral.MixtralConfig(
        hidden_size=DIM,
        intermediate_size=HIDDEN,
        num_local_experts=EXPERTS,
        num_experts_per_tok=k,
        router_jitter_noise=0.0,
    )
    config._experts_implementation = "eager"
    theirs = drawn(mixtral.MixtralSparseMoeBlock(config)).float()  # its router rounds to float32 anyway
    ours = MoELayer(DIM, HIDDEN, EXPERTS, k=k, capacity_factor=None, renormalize=True)
    ours.router.weight.data.copy_(theirs.gate.weight)
    ours.experts = nn.ModuleList(MixtralExpert(theirs.experts, number) for number in range(EXPERTS))
    x = draw(3, 5, DIM, seed=6).float().requires_grad_()
    expected, output = theirs(x), ours(x)[0]
    assert_same({"output": output}, {"output": expected}, tolerance=1e-5, dtype=torch.float32)
    found = gradients(output, {"x": x, **dict(ours.named_parameters())})
    wanted = gradients(expected, {"x": x, **dict(theirs.named_parameters())})
    own = {"x": found["x"]}
    own["inner"] = torch.stack([found[f"experts.{number}.inner"] for number in range(EXPERTS)])
    own["outer"] = torch.stack([found[f"experts.{number}.outer"] for number in range(EXPERTS)])
    named = {
        "x": wanted["x"],
        "inner": wanted["experts.gate_up_proj"],
        "outer": wanted["experts.down_proj"],
    }
    if k > 1:
        own["router"], named["router"] = found["router.weight"], wanted["gate.weight"]
    else:
        assert found["router.weight"].abs().max() < 1e-6, "k = 1 renormalised: nothing to learn"
    assert_same(own, named, tolerance=1e-5, dtype=torch.float32)


@pytest.mark.parametrize(
    ("k", "factor", "renormalize"), [(1, 0.6, False), (2, 0.75, False), (2, 1.0, True), (3, None, True)]
)
def test_layer_is_a_loop_over_the_queue(k, factor, renormalize):
    """Biases and all, dropped choices, more than one choice: against a loop over tokens and experts."""
    layer, x = (
        drawn(MoELayer(DIM, HIDDEN, EXPERTS, k, factor, renormalize)),
        draw(2, 7, DIM, seed=7, grad=True),
    )
    tokens = x.reshape(14, DIM)
    free = [14 if factor is None else math.ceil(round(factor * k * 14 / EXPERTS, 6))] * EXPERTS
    rows = [torch.zeros(DIM, dtype=torch.float64) for _ in range(14)]
    probability = (tokens @ layer.router.weight.T).softmax(-1)
    order = probability.argsort(dim=-1, descending=True)
    dropped = 0
    for choice in range(k):
        for t in range(14):
            number = int(order[t, choice])
            if free[number] == 0:
                dropped += 1
                continue
            free[number] -= 1
            total = probability[t, order[t, :k]].sum() if renormalize else 1.0
            rows[t] = rows[t] + probability[t, number] / total * layer.experts[number](tokens[t])
    assert (dropped > 0) == (factor is not None)
    expected, output = torch.stack(rows).view_as(x), layer(x)[0]
    assert_same({"output": output}, {"output": expected})
    leaves = {"x": x, **dict(layer.named_parameters())}
    assert_same(gradients(output, leaves), gradients(expected, leaves))


def test_one_expert_is_that_expert():
    layer, x = drawn(MoELayer(DIM, HIDDEN, 1, capacity_factor=None)), draw(2, 5, DIM, seed=8, grad=True)
    output, loss = layer(x)
    assert_same({"output": output}, {"output": layer.experts[0](x)})
    assert loss.item() == pytest.approx(1.0)


# Balance -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "experts"), [(11, 4), (6, 7)])
def test_loss_for_one_expert_is_switchs(switch, tokens, experts):
    logits = draw(tokens, experts, seed=9, grad=True)
    _, chosen = top_k_router(logits, 1)
    expected = switch.load_balancing_loss_func(logits.softmax(-1)[None], chosen[None, :, 0])
    ours = load_balancing_loss(logits, chosen)
    assert_same({"loss": ours}, {"loss": expected.detach()}, tolerance=1e-6)  # its counts are float32
    leaves = {"logits": logits}
    assert_same(gradients(ours, leaves), gradients(expected, leaves), tolerance=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_loss_is_mixtrals_divided_by_k(mixtral, k):
    """Mixtral's fractions sum to k, ours to 1."""
    logits = draw(10, 5, seed=10).float().requires_grad_()
    _, chosen = top_k_router(logits, k)
    expected = mixtral.load_balancing_loss_func((logits,), num_experts=5, top_k=k) / k
    ours = load_balancing_loss(logits, chosen)
    assert_same({"loss": ours}, {"loss": expected.detach()}, tolerance=1e-6, dtype=torch.float32)
    leaves = {"logits": logits}
    assert_same(gradients(ours, leaves), gradients(expected, leaves), tolerance=1e-6, dtype=torch.float32)


def test_loss_is_one_where_balanced_and_e_where_collapsed():
    logits = draw(8, 4, seed=11)
    everyone = torch.arange(8).remainder(4)[:, None]
    assert load_balancing_loss(logits, everyone).item() == pytest.approx(1.0), "f uniform"
    sure = torch.tensor([50.0, 0, 0, 0]).repeat(8, 1)
    assert load_balancing_loss(sure, torch.zeros(8, 1, dtype=torch.long)).item() == pytest.approx(4.0)


@pytest.mark.parametrize(("tokens", "experts", "k", "capacity"), [(20, 4, 1, 3), (15, 5, 2, 4), (9, 3, 3, 5)])
def test_places_are_given_out_in_the_order_of_the_queue(tokens, experts, k, capacity):
    generator = torch.Generator().manual_seed(tokens)
    chosen = torch.rand(tokens, experts, generator=generator).argsort(dim=1)[:, :k]
    kept = keep_within_capacity(chosen, experts, capacity)
    free, expected = [capacity] * experts, torch.zeros(tokens, k, dtype=torch.bool)
    for choice in range(k):
        for t in range(tokens):
            number = int(chosen[t, choice])
            expected[t, choice] = free[number] > 0
            free[number] -= int(free[number] > 0)
    assert torch.equal(kept, expected) and not kept.all() and kept.any()
