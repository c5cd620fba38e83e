"""Precision and device are decided in one place, by what the hardware has and not by what it emulates."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from utils import training
from utils.training import Precision, fit, precision, precision_for


@pytest.mark.parametrize(
    ("capability", "name", "scaled"),
    [
        ((7, 0), "float16", True),
        ((7, 5), "float16", True),
        ((8, 0), "bfloat16", False),
        ((9, 0), "bfloat16", False),
    ],
)
def test_cuda_is_asked_for_its_capability_and_not_for_emulation(monkeypatch, capability, name, scaled):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args: True)  # what a T4 says
    found = precision_for("cuda")
    assert (found.name, found.device.type) == (name, "cuda")
    assert f"capability {capability[0]}.{capability[1]}" in str(found) and name in str(found)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert found.scaler().is_enabled() is scaled


def test_mps_stays_in_float32():
    assert precision_for("mps").name == "float32"


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("flags\t\t: fpu sse2 avx512f avx512_bf16\n", True),
        ("flags : fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),  # Arm
        ("flags : fpu sse2 avx2\n", False),
        ("flags : fpu avx512_bf16_like\n", False),
        ("model name : bf16\n", False),
    ],
)
def test_native_bfloat16_is_read_from_the_processor_s_flags(monkeypatch, tmp_path, text, native):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{text}")
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    precision.has_native_bfloat16.cache_clear()
    try:
        assert precision.has_native_bfloat16() is native
        assert precision_for("cpu").name == "float32"
    finally:
        precision.has_native_bfloat16.cache_clear()


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="float32, bfloat16, float16; got 'half'"):
        precision_for("cpu", "half")


def test_on_a_cpu_narrow_attention_is_written_out():
    """The fused kernel is the slow one there. Seen in the graph: the plain one is made of a softmax."""
    query = torch.randn(2, 4, 8, 16, requires_grad=True)

    def operations(name: str) -> str:
        with Precision(torch.device("cpu"), name).forward():
            out = F.scaled_dot_product_attention(query, query, query)
        cpu = torch.profiler.ProfilerActivity.CPU
        with torch.profiler.profile(activities=[cpu]) as seen, Precision(torch.device("cpu"), name).forward():
            F.scaled_dot_product_attention(query, query, query)
        assert out.dtype == Precision(torch.device("cpu"), name).dtype
        return " ".join(event.key for event in seen.key_averages())

    assert "_scaled_dot_product_flash_attention" in operations("float32")
    assert "_scaled_dot_product_flash_attention" not in operations("bfloat16")


@pytest.mark.parametrize(
    "how",
    [{}, {"scale": 0.3}, {"is_causal": True}, {"attn_mask": "bool"}, {"attn_mask": "added"}, {"attn_mask": None, "dropout_p": 0.0}],
    ids=str,
)  # fmt: skip
def test_written_out_attention_is_pytorch_s(how):
    """Outputs and gradients, to what bfloat16 can hold; with a mask PyTorch's plain kernel is left in place."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(2, 3, n, 8, generator=generator, requires_grad=True) for n in (5, 7, 7)]
    masks = {
        "bool": torch.rand(5, 7, generator=generator) < 0.7,
        "added": torch.randn(5, 7, generator=generator),
    }
    how = how | ({"attn_mask": masks[how["attn_mask"]]} if how.get("attn_mask") else {})
    wanted = F.scaled_dot_product_attention(*inputs, **how)
    gradients = torch.autograd.grad(wanted.square().sum(), inputs)
    with Precision(torch.device("cpu"), "bfloat16").forward():
        found = F.scaled_dot_product_attention(*inputs, **how)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0.03, atol=0.03)
    for a, b in zip(torch.autograd.grad(found.float().square().sum(), inputs), gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=0.1, atol=0.1)


def test_written_out_attention_is_taken_and_drops_at_the_right_rate():
    query = torch.ones(1, 1, 64, 64)
    narrow = Precision(torch.device("cpu"), "bfloat16")

    def softmaxes() -> list[str]:
        seen = []

        class Spy(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                result = func(*args, **(kwargs or {}))
                if "softmax" in func.overloadpacket.__name__:
                    seen.append(func.overloadpacket.__name__)
                return result

        with Spy(), narrow.forward():
            F.scaled_dot_product_attention(query, query, query)
        return seen

    assert softmaxes() == ["_softmax"], "and not the one that looks for masked rows"
    torch.manual_seed(0)
    eye = torch.eye(64)[None, None]
    with narrow.forward():
        dropped = F.scaled_dot_product_attention(torch.zeros_like(query), query, eye, dropout_p=0.25)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert dropped.float().mean().item() * 64 == pytest.approx(1.0, abs=0.03), "what is kept is scaled"


def _toy():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 6, generator=generator)
    return inputs, (inputs[:, 0] > 0).long()


def test_float16_trains_with_a_scaled_loss_and_resumes_exactly(tmp_path):
    inputs, targets = _toy()

    def run(epochs, **more):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
        history = fit(
            model, [(inputs, targets)] * 4, epochs=epochs, lr=0.02, warmup=0.0, schedule="constant", device="cpu", precision="float16", progress=False, **more
        )  # fmt: skip
        return model, history

    whole, history = run(6)
    assert history.precision == "float16" and "; float16; budget" in str(history)
    assert history.train_loss[-1] < 0.7 * history.train_loss[0]
    assert all(p.dtype == torch.float32 for p in whole.parameters())

    class Killed(Exception):
        pass

    def batches(epoch):
        if epoch == 3:
            raise Killed
        return [(inputs, targets)] * 4

    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    common = dict(epochs=6, lr=0.02, warmup=0.0, schedule="constant", device="cpu", precision="float16")
    with pytest.raises(Killed):
        fit(model, batches, progress=False, checkpoint=tmp_path / "run.pt", **common)
    fresh = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    fit(fresh, [(inputs, targets)] * 4, progress=False, checkpoint=tmp_path / "run.pt", **common)
    for a, b in zip(fresh.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="precision=float16"):
        fit(
            fresh,
            [(inputs, targets)] * 4,
            progress=False,
            checkpoint=tmp_path / "run.pt",
            **(common | {"precision": "float32"}),
        )


def test_a_gradient_too_small_for_float16_survives_by_its_scale():
    """1e-6 of a gradient that passes through a float16 product is a number below 6e-8: zero without a scale."""

    class Tiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 1))

        def forward(self, x):
            return F.linear(x, self.weight)  # float16 under autocast

    def gradient(scaled: bool) -> float:
        model, half = Tiny(), Precision(torch.device("cpu"), "float16")
        scaler = half.scaler() if scaled else torch.amp.GradScaler("cpu", enabled=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        with half.forward():
            logits = model(torch.ones(1, 1))
        scaler.scale(logits.float().sum() * 1e-8).backward()
        scaler.unscale_(optimizer)
        return model.weight.grad[0].item()

    assert gradient(scaled=False) == 0.0
    assert gradient(scaled=True) == pytest.approx(1e-8, rel=0.01)


def test_evaluate_takes_a_precision():
    inputs, targets = _toy()
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            seen.append(out.dtype)
            return out

    training.evaluate(Spy(6, 2), [(inputs, targets)], precision=Precision(torch.device("cpu"), "bfloat16"))
    assert seen == [torch.bfloat16]
