"""What the notebooks say is what their outputs and the recorded rows say."""

from __future__ import annotations

import os
import re
from collections import Counter

import nbformat
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from utils.authoring import build, claims

NAMES = build.source_names()


@pytest.mark.parametrize("name", NAMES)
def test_claims_stand_in_the_text_and_agree_with_what_carries_them(name):
    assert claims.problems(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_has_claims(name):
    assert len(claims.claims_of(name)) >= 3


def test_the_page_is_made_from_the_claims():
    assert claims.PAGE.read_text(encoding="utf-8") == claims.page()


@pytest.mark.parametrize(
    ("typed", "measured", "agree"),
    [
        ("84.3", 84.3, True),
        ("84.3", 84.26, True),
        ("84.3", 84.4, False),
        ("84", 84.3, True),
        ("13,840", 13840, True),
        ("13,840", 13841, False),
        ("\N{MINUS SIGN}0.4", -0.41, True),
    ],
)
def test_a_typed_number_is_the_measured_one_rounded(typed, measured, agree):
    assert claims.agrees(typed, measured) is agree


def test_wrong_claims_are_named(tmp_path, monkeypatch):
    """A number that the output contradicts, a text that is not there, a cell that is not there, rows that are not there."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    run = new_code_cell("...", id="run", outputs=[new_output("stream", text="accuracy 84.3%\n")])
    cells = [new_markdown_cell("It reaches 85.0 %, or  so.", id="text"), run]
    nbformat.write(new_notebook(cells=cells), tmp_path / "99_toy.ipynb")
    monkeypatch.setattr(claims, "FOLDER", tmp_path)

    def said(**changes) -> list[str]:
        claim = {
            "cell": "text",
            "says": "reaches [[85.0]] %, or so",
            "by": "output",
            "source": "run",
            "reads": [r"accuracy ([\d.]+)%"],
        }
        monkeypatch.setattr(claims, "claims_of", lambda name: [claim | changes])
        return claims.problems("99_toy", tmp_path)

    assert said() == ["99_toy, text: the text says 85.0, and run says 84.3"]
    assert "does not say" in said(says="reaches [[84.3]] %")[0]
    assert "no cell" in said(source="ran")[0]
    assert "no recorded rows" in said(by="rows", source="none.jsonl")[0]
    assert "1 marked numbers, 0 ways" in said(reads=[])[0]
    assert "none of" in said(by="faith")[0]
    assert "nothing like" in said(reads=["loss ([0-9]+)"])[0]
    run.outputs = []
    nbformat.write(new_notebook(cells=cells), tmp_path / "99_toy.ipynb")
    assert said() == [], "a cell that has to run again is named by `stale`, not here"


def test_recorded_rows_are_read_by_column_and_condition():
    where = {"arm": "3 epochs", "model": "LSTM"}
    assert claims.recorded("sentiment.jsonl", "seed", where, take="count") == 3
    mean = claims.recorded("sentiment.jsonl", "test_accuracy", where, times=100)
    assert 80 < mean < 90
    with pytest.raises(ValueError, match="no row"):
        claims.recorded("sentiment.jsonl", "test_accuracy", {"model": "GRU"})


@pytest.mark.parametrize("name", [name for name in NAMES if name[:2] not in ("06", "08", "10")])
def test_the_printed_time_is_that_of_the_exercises_and_the_reading(name):
    """Exercises, 150 words of text a minute, 3 minutes a prediction, 30 a written question: within half an hour of the promise."""
    cells = nbformat.read(build.STUDENT / f"{name}.ipynb", as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    minutes = sum(map(int, re.findall(r" about (\d+) minutes ·", prose)))
    minutes += 3 * sum(cell.id.startswith("predict-") for cell in cells)
    minutes += 30 * sum(cell.id.startswith("question-") for cell in cells)
    words = len(prose.partition("## Further reading")[0].split())
    half_hours = {
        "two": 4,
        "two and a half": 5,
        "three": 6,
        "three and a half": 7,
        "four": 8,
        "four and a half": 9,
    }
    promised = re.search(r"\*\*Time\.\*\* About ([a-z ]+) hours of reading", prose)
    assert promised, "no time is printed"
    assert abs(30 * half_hours[promised[1]] - (minutes + words / 150)) <= 30, (minutes, words)


@pytest.mark.parametrize("name", NAMES)
def test_a_numbered_reference_stands_in_the_notebooks_list(name):
    """A stub or a text that says "reference 2" has a list at the end with an item 2."""
    cells = nbformat.read(build.STUDENT / f"{name}.ipynb", as_version=4).cells
    said = {number for cell in cells for number in re.findall(r"\breference\s+(\d+)", cell.source)}
    listed = {number for cell in cells for number in re.findall(r"^(\d+)\. ", cell.source, flags=re.M)}
    assert said <= listed


@pytest.mark.skipif(
    not os.environ.get("COURSE_DATA"), reason="no mirror of the real data: COURSE_DATA is not set"
)
def test_what_notebook_02_says_about_its_texts():
    from utils.data import load_text, tokenize

    sst2 = load_text("sst2")
    assert not set(sst2.train.texts) & set(sst2.validation.texts), "a validation sentence is a training text"
    assert (sum(sst2.validation.labels), len(sst2.validation.labels)) == (444, 872), "about half are positive"
    assert f"{_rare(load_text('rotten_tomatoes').train.texts, 2):.0%}" == "47%"
    nsmc = load_text("nsmc", limit={"train": 20_000, "test": 100})
    assert 0.48 < sum(nsmc.train.labels) / len(nsmc.train.labels) < 0.52
    rare = {unit: _rare(nsmc.train.texts, 5, unit) for unit in ("eojeol", "syllables")}
    assert rare["eojeol"] > 0.9 and rare["syllables"] < 0.5
    words, syllables = (
        Counter(piece for text in nsmc.train.texts for piece in tokenize(text, unit))
        for unit in ("eojeol", "syllables")
    )
    assert len(syllables) < len(words) / 20, "syllables are few"


def _rare(texts, least: int, unit: str = "words") -> float:
    """Share of the different pieces that occur fewer than `least` times."""
    from utils.data import tokenize

    counts = Counter(piece for text in texts for piece in tokenize(text, unit))
    return sum(count < least for count in counts.values()) / len(counts)


NUMBERS = {
    "two": 2,
    "three and a half": 3.5,
    "nearly three": 2.8,
    "nearly four": 3.8,
    "nearly five": 4.7,
    "three": 3,
    "five": 5,
}


@pytest.mark.parametrize("name", [name for name in NAMES if name[:2] in ("02", "04", "05", "07", "08", "09")])
def test_the_printed_run_time_is_that_of_the_stored_run(name):
    """Within a factor of two: what else ran on the machine is in the record, too."""
    solved = nbformat.read(build.SOLVED / f"{name}.ipynb", as_version=4)
    said = re.search(
        r"(?:ran|run|took) (?:for )?(?:about )?([a-z ]+?) minutes", " ".join(solved.cells[0].source.split())
    )
    assert said, "no run time is named"
    seconds = solved.metadata["course"]["executed"]["seconds"]
    assert seconds / 2 <= 60 * NUMBERS[said[1]] <= seconds * 2


def _kept_per_step(module: nn.Module, steps: int = 60) -> float:
    """What is left per step of the gradient of a loss at the last step, so many steps back."""
    x = torch.randn(32, steps + 1, 64, dtype=torch.float64, requires_grad=True)
    last = module(x)[0][:, -1]
    (last * torch.randn_like(last)).sum().backward()
    sizes = x.grad.norm(dim=-1).mean(0)
    return float((sizes[0] / sizes[-1]) ** (1 / steps))


def test_what_an_lstm_keeps_along_its_cell_alone():
    """Notebook 02, section 5: the same network once as it is, once with h cut off from the gradient."""
    from solutions.lstm import LSTM

    class CellOnly(LSTM):
        def scan(self, x, suffix):
            weight_ih, weight_hh, bias_ih, bias_hh = self.weights(suffix)
            h = c = x.new_zeros(len(x), self.hidden_size)
            hidden = []
            for step in F.linear(x, weight_ih, bias_ih + bias_hh).unbind(1):
                i, f, g, o = (step + h.detach() @ weight_hh.T).chunk(4, dim=-1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                hidden.append(h)
            return torch.stack(hidden, 1), torch.stack(hidden, 1)

    kept = {}
    for name, kind, bias in (
        ("whole", LSTM, 0),
        ("cell", CellOnly, 0),
        ("open", LSTM, 3),
        ("open cell", CellOnly, 3),
    ):
        torch.manual_seed(0)
        module = kind(64, 64).double()
        if bias:
            nn.init.constant_(module.bias_ih_l0[64:128].data, bias)
        kept[name] = _kept_per_step(module)
    assert 0.52 < kept["cell"] < 0.56 and 0.59 < kept["whole"] < 0.63, kept
    assert (kept["open cell"] / kept["open"]) ** 60 < 0.1, kept


def test_the_fused_kernel_needs_a_fixed_buffer_and_something_per_pixel():
    """Notebook 04, section 6: of one training step, in bytes."""
    from solutions.self_attention_2d import SelfAttention2d
    from utils.cost import peak_bytes

    torch.manual_seed(0)
    layer = SelfAttention2d(16)

    def step(side: int) -> None:
        x = torch.randn(1, 16, side, side, requires_grad=True)
        parts = (
            part(x).flatten(2).transpose(1, 2).contiguous()[:, None]
            for part in (layer.query, layer.key, layer.value)
        )
        found = F.scaled_dot_product_attention(*parts)[:, 0].transpose(1, 2).unflatten(2, x.shape[2:])
        (x + layer.gamma * layer.output(found)).square().mean().backward()

    needed = {side: peak_bytes(lambda side=side: step(side)) for side in (32, 36, 40)}
    per_pixel = (needed[40] - needed[36]) / (40**2 - 36**2)
    assert (needed[36] - needed[32]) / (36**2 - 32**2) == pytest.approx(per_pixel, rel=0.02), (
        "a straight line"
    )
    assert needed[32] - per_pixel * 32**2 > 100_000, "that does not begin at zero"


def test_what_perceiver_io_keeps_and_computes_per_input():
    """Notebook 09, section 7: three vectors of 64 numbers, and a constant part of the work."""
    from solutions.perceiver import PerceiverIO
    from utils.cost import peak_bytes, profile

    class Asked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = PerceiverIO(64, num_latents=32, latent_dim=64, depth=4, query_dim=64).eval()
            self.question = nn.Parameter(torch.randn(1, 64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x, self.question)

    model, bytes_of, macs_of = Asked(), {}, {}
    for count in (1_024, 2_048, 4_096):
        x = torch.randn(1, count, 64)
        with torch.inference_mode():
            bytes_of[count] = peak_bytes(lambda x=x: model(x))
        macs_of[count] = profile(model, (1, count, 64)).macs
    assert (bytes_of[4_096] - bytes_of[2_048]) / 2_048 == pytest.approx(3 * 64 * 4, rel=0.02)
    assert macs_of[4_096] - macs_of[2_048] == 2 * (macs_of[2_048] - macs_of[1_024]), "a straight line"
    constant = 2 * macs_of[1_024] - macs_of[2_048]
    assert 0.17 < constant / macs_of[2_048] < 0.23, "about a fifth"


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch is built without oneDNN")
def test_onednn_computes_convolutions_and_not_linear_layers():
    """Notebook 05, section 11, by the names that PyTorch's profiler gives (oneDNN was called MKL-DNN)."""
    with torch.no_grad(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        nn.Conv2d(64, 64, 3, padding=1)(torch.randn(8, 64, 16, 16))
        nn.Linear(192, 576)(torch.randn(64, 65, 192))
    names = {event.key for event in seen.key_averages()}
    assert {"aten::mkldnn_convolution", "aten::addmm"} <= names and "aten::mkldnn_linear" not in names
