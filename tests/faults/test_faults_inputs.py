"""Faults of files and arguments: damaged rows, results that are none, options that mean nothing. The table is in utils/experiments/README.md."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from tests.experiment_toys import ME, cell, experiment, run, sizes
from tests.toys import network, toy
from utils import plotting
from utils.data import load_images, load_text
from utils.data.readers import DataError, _files
from utils.experiments import checkpoint, plots
from utils.experiments.__main__ import main
from utils.experiments.audit import audit_file
from utils.experiments.results import load, path_of
from utils.paths import ROOT
from utils.training import fit


def copied(name, folder, change):
    """A copy of a recorded file with its lines changed, and what the audit says about it."""
    lines = path_of(name).read_bytes().split(b"\n")[:-1]
    path = path_of(name, folder)
    path.write_bytes(b"\n".join(change(lines)) + b"\n")
    return path, audit_file(path).findings


def changed(lines, number, **columns):
    row = {k: v for k, v in (json.loads(lines[number]) | columns).items() if v is not ...}
    return [*lines[:number], json.dumps(row, ensure_ascii=False).encode(), *lines[number + 1 :]]


# ------------------------------------------------------------------------------------------ rows


def test_one_byte_that_is_no_utf8_costs_its_line_and_is_named(tmp_path, capsys):
    path, found = copied(
        "distance", tmp_path, lambda lines: [lines[0][:50] + b"\xff" + lines[0][50:], *lines[1:]]
    )
    assert any("line 1: byte 51 of the line is no UTF-8" in sentence for sentence in found)
    with pytest.warns(UserWarning, match="distance.jsonl, line 1: byte 51"):
        assert len(load("distance", tmp_path)) == 5
    with pytest.warns(UserWarning):
        assert main(["status", "--folder", str(tmp_path)]) == 0
    assert "cpu 5/6" in capsys.readouterr().out


def test_a_line_separator_inside_a_text_is_no_end_of_a_row(tmp_path):
    what = experiment([cell(1, kind="separator")])
    assert run(what, tmp_path)[0].recorded == 1
    assert load("toy", tmp_path)[0]["text"] == "a\u2028b"
    outcome, _ = run(what, tmp_path)
    assert (outcome.recorded, outcome.already) == (0, 1)


def test_a_cell_that_returns_a_tensor_costs_itself_only(tmp_path):
    for _ in range(2):
        outcome, _ = run(experiment([cell(1, kind="tensor"), cell(2)]), tmp_path)
        assert sizes(tmp_path) == [2]
        assert outcome.failures == [
            "toy, 1 images, seed 0: its task returned 'weights' as Tensor, which a row can't hold; "
            "return numbers, text, or lists and dictionaries of them (a tensor's .tolist())"
        ]


def test_a_result_that_is_no_number_is_not_recorded(tmp_path):
    outcome, _ = run(experiment([cell(1, kind="nan"), cell(2)]), tmp_path)
    assert (
        sizes(tmp_path) == [2] and "'loss' = nan, and a row holds finite numbers only" in outcome.failures[0]
    )


def test_a_row_without_its_command_is_named_and_record_goes_on(tmp_path, capsys):
    _, found = copied("token-mixers", tmp_path, lambda lines: changed(lines, 2, command=...))
    assert found == ["line 3: the row lacks command"]
    assert main(["record", "--folder", str(tmp_path)]) == 0
    assert "`None`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"lr": 0.02}, "trained with learning rate 0.02, and the tuning rows give"),
        ({"size": 501}, "size is 501, and 500 is declared"),
        ({"cell": "0123456789ab"}, "no declared cell has the id '0123456789ab'; the declaration has changed"),
        ({"test_accuracy": 1.2}, "test_accuracy is 1.2, and a share of right answers lies between 0 and 1"),
        ({"tuned_on": []}, "the tuning rows that it names are not the declared ones"),
        ({"precision": "bfloat16"}, "the rows of preset cpu were made under different conditions"),
        ({"data_fingerprint": "0"}, "saw different data under the name cifar10"),
        ({"preset": "big"}, "there is no preset 'big'"),
    ],
)
def test_the_audit_finds_a_row_that_was_changed_by_hand(tmp_path, columns, said):
    index = next(
        i for i, row in enumerate(load("data-scaling")) if row["stage"] == "main" and row["size"] == 500
    )
    _, found = copied("data-scaling", tmp_path, lambda lines: changed(lines, index, **columns))
    assert any(said in sentence for sentence in found), found


def test_the_audit_finds_rates_whose_tuning_rows_are_gone(tmp_path, capsys):
    _, found = copied(
        "data-scaling", tmp_path, lambda lines: [x for x in lines if b'"stage": "tune"' not in x]
    )
    assert sum("was chosen without 5 declared tuning rows" in sentence for sentence in found) == 72
    assert main(["audit", "data-scaling", "--folder", str(tmp_path)]) == 1
    assert main(["audit", "data-scaling"]) == 0
    assert "data-scaling.jsonl: 102 rows, cpu 72/72: clean" in capsys.readouterr().out


def test_a_rate_that_stands_after_others_were_added_is_no_finding(tmp_path):
    """Of local-attention 0.03 was tried last: its main rows name the three rates before, and 0.01 is still the best of all four."""
    rows = load("local-attention")
    trained = {len(row["tuned_on"]) for row in rows if row["stage"] == "main"}
    assert trained == {3} and len({row["lr"] for row in rows if row["stage"] == "tune"}) == 4
    assert copied("local-attention", tmp_path, lambda lines: lines)[1] == []
    last = next(i for i, row in enumerate(rows) if row["stage"] == "tune" and row["lr"] == 0.03)
    _, found = copied(
        "local-attention", tmp_path, lambda lines: changed(lines, last, validation_accuracy=0.99)
    )
    assert sum("trained with learning rate 0.01, and the tuning rows give 0.03" in one for one in found) == 10


def test_two_rows_of_one_place_are_named(tmp_path):
    path, found = copied("token-mixers", tmp_path, lambda lines: [*lines, lines[0]])
    last = len(path.read_bytes().splitlines())
    assert len(found) == 1 and f"lines 1, {last} are rows of one and the same place" in found[0]


# ------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--threads", "0"], "'0' is no whole number of 1 or more"),
        (["--workers", "-1"], "'-1' is no whole number of 0 or more"),
        (["--limit", "-195"], "'-195' is no whole number of 0 or more"),
        (["--limit", "five"], "'five' is no whole number"),
        (["--minutes", "-3"], "'-3' is no number of minutes"),
        (["--minutes", "nan"], "'nan' is no number of minutes"),
        (["--only", "size"], "'size' should be COLUMN=VALUE"),
        (["--only", "modle=CNN"], "--only modle=...: the grid's columns are"),
        (["--only", "size=99"], "--only size=99: no cell has that; there are 0, 1,"),
        (["--precision", "float8"], "invalid choice: 'float8'"),
    ],
)
def test_options_that_mean_nothing_end_with_2_and_are_named(tmp_path, capsys, words, said):
    first = ["run", f"{ME}:MANY", "--preset", "smoke", "--workers", "0", "--folder", str(tmp_path)]
    try:
        code = main([*first, *words])
    except SystemExit as error:  # argparse's way
        code = error.code
    assert code == 2 and said in capsys.readouterr().err
    assert not path_of("MANY", tmp_path).exists()


def test_an_unknown_preset_and_a_batch_of_nothing(capsys):
    assert main(["plot", "sentiment", "--preset", "gpu"]) == 2
    assert "sentiment has no preset 'gpu'; it has smoke, cpu" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["throughput", "--batch", "0"])


def test_garbage_in_a_parquet_file_is_named(tmp_path):
    good, bad = tmp_path / "train-0.parquet", tmp_path / "train-1.parquet"
    good.write_bytes(b"PAR1....PAR1")
    assert _files(tmp_path, "train") == [good]
    for content in (b"", b"PAR1 cut off", b"<html>not found</html>"):
        bad.write_bytes(content)
        with pytest.raises(DataError, match=r"train-1\.parquet is (empty|no Parquet file|cut off)"):
            _files(tmp_path, "train")


@pytest.mark.parametrize(
    "load_data", [lambda **how: load_text("reviews", **how), lambda **how: load_images("digits", **how)]
)
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"limit": "100"}, "limit is '100'; a whole number of 0 or more"),
        ({"limit": -5}, "limit is -5"),
        ({"limit": {"train": 2.5}}, "limit of 'train' is 2.5"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "0"}, "seed is '0'"),
    ],
)
def test_limits_and_seeds_of_data_are_checked_at_the_door(load_data, how, said):
    with pytest.raises(ValueError, match=said.split(";")[0]):
        load_data(**how)


# ------------------------------------------------------------------------------------------ the checkpoint


class Small(nn.Module):
    """ViT's signature, and next to nothing inside."""

    def __init__(self, image_size, patch_size, dim, depth, num_heads, mlp_ratio, num_classes):
        super().__init__()
        self.patch_embedding = nn.Module()
        self.patch_embedding.projection = nn.Linear(3 * 16, 4)
        self.head = nn.Linear(4, num_classes)

    def forward(self, images):
        return self.head(self.patch_embedding.projection(images[:, :, :4, :4].flatten(1)))


SETTINGS = {"epochs": 2, "batch": 8, "optimizer": "adamw", "lr": 1e-2, "muon_lr": 5e-3, "weight_decay": 0.05, "warmup": 0.1, "smoothing": 0.1,
            "ema": 0.9, "crop": 1, "mirror": True, "seed": 0, "device": "cpu", "precision": "float32", "validation": 0, "data": "made up"}  # fmt: skip


def data(n=20):
    images = torch.randint(
        0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return {"train": (images, torch.arange(n) % 10), "test": (images, torch.arange(n) % 10)}


def small():
    torch.manual_seed(0)
    return Small(**checkpoint.MODEL)


def test_the_checkpoint_goes_on_from_the_same_options_however_they_are_spelled(tmp_path):
    whole = checkpoint.train(small(), data(), SETTINGS, tmp_path / "a.safetensors", "one way")
    path = tmp_path / "b.safetensors"

    class Stop(checkpoint.Shipping):
        def after_epoch(self, model, history):
            super().after_epoch(model, history)
            if len(history) == 2 and stop:
                raise KeyboardInterrupt

    stop, real = True, checkpoint.Shipping
    checkpoint.Shipping = Stop
    try:
        with pytest.raises(KeyboardInterrupt):
            checkpoint.train(small(), data(), SETTINGS, path, "one way")
        stop = False
        resumed = checkpoint.train(small(), data(), dict(reversed(SETTINGS.items())), path, "another --way")
    finally:
        checkpoint.Shipping = real
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in resumed] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in whole
    ]
    assert (tmp_path / "a.safetensors").read_bytes() == path.read_bytes()
    head, rows = checkpoint.training_log(path.with_suffix(".jsonl"))
    assert head["settings"] == SETTINGS and len(rows) == 2
    with pytest.raises(ValueError, match="belongs to a run with crop=1, and this one has crop=2"):
        checkpoint.train(small(), data(), SETTINGS | {"crop": 2}, path)


def test_a_wrong_model_or_batch_of_the_checkpoint_is_a_sentence(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="20 training images do not fill one batch of 64"):
        checkpoint.train(small(), data(), SETTINGS | {"batch": 64}, tmp_path / "a.safetensors")
    for words, said in (
        (["--model", "utils.stand_ins.vit:NoViT"], "utils.stand_ins.vit:NoViT was not found"),
        (["--model", "nowhere"], "nowhere was not found"),
        (["--model", "torch.nn:Linear"], "should have ViT's signature"),
        (["--batch", "0"], "--batch is 0; 1 or more is needed"),
        (["--validation", "-1"], "--validation is -1"),
    ):
        assert main(["checkpoint", *words, "--out", str(tmp_path / "x.safetensors")]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["checkpoint", "--help"])
    assert "--validation" in capsys.readouterr().out


def test_an_old_torch_without_muon_is_a_sentence(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(ValueError, match="--optimizer muon needs torch 2.9 or newer, .*--optimizer adamw"):
        checkpoint.make_optimizers(small(), SETTINGS | {"optimizer": "muon"})


# ------------------------------------------------------------------------------------------ training, figures


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"clip": -1}, "clip is -1; a norm above 0 is needed, or None"),
        ({"clip": 0}, "clip is 0; a norm above 0 is needed, or None"),
        ({"warmup": -1}, "warmup is -1; a fraction from 0 to 1, or a number of steps, is needed"),
        ({"weight_decay": -1}, "weight_decay is -1; 0 or more is needed"),
    ],
)
def test_fit_refuses_a_clip_that_would_climb(given, said):
    model = network()
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=re.escape(said)):
        fit(model, [toy()], epochs=1, lr=0.1, progress=False, **given)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_fit_names_targets_of_a_wrong_shape():
    inputs, targets = toy()
    with pytest.raises(ValueError, match=r"\(\d+, 1\)"):
        fit(network(), [(inputs, targets[:, None])], epochs=1, lr=0.1, progress=False)


def test_a_file_of_another_run_or_of_no_run_is_a_sentence(tmp_path):
    """Nothing of torch's own advice, which is to load the file unsafely."""
    how = {"epochs": 1, "lr": 0.1, "progress": False, "checkpoint": tmp_path / "run.resume"}
    fit(network(), [toy()], **how)
    with pytest.raises(ValueError, match="comes from another model or optimizer") as other:
        fit(nn.Sequential(network(), nn.Linear(2, 2)), [toy()], **how)
    how["checkpoint"].write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="is no checkpoint of `fit`, or it is damaged") as foreign:
        fit(network(), [toy()], **how)
    for error in (other, foreign):
        assert "run.resume" in str(error.value) and "Delete the file" in str(error.value)
        assert "weights_only" not in str(error.value)


def test_the_help_names_every_command(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    for name in [
        "list",
        "run",
        "status",
        "record",
        "audit",
        "plot",
        "judge",
        "checkpoint",
        "models",
        "throughput",
    ]:
        assert re.search(rf"^    {name}\b", said, re.M), name


def test_numbers_beside_each_other_have_equally_many_decimals():
    fig, ax = plotting.figure()
    plotting.bars(ax, {"a": (36.29, 0.91), "b": (36.52, 1.2)})
    assert [text.get_text() for text in ax.texts] == ["36.3 ± 0.9", "36.5 ± 1.2"]
    fig, ax = plotting.figure()
    plotting.bars(ax, {"a": (0.012, 0.002), "b": (120.0, 20.0)})
    assert [text.get_text() for text in ax.texts] == ["0.0120 ± 0.0020", "120 ± 20"]


def test_a_label_stands_at_its_own_line_s_last_point():
    """A model that was measured at small sizes only is named there, and not at the right edge."""
    rows = [
        {"model": model, "size": size, "seed": seed, "test_accuracy": 0.5 + 0.1 * seed + size / 1e5}
        for model, sizes in (("CNN", (500, 2_000)), ("ViT", (500, 2_000, 8_000)))
        for size in sizes
        for seed in range(3)
    ]
    fig, _ = plots.curves(rows)
    fig.canvas.draw()
    ends = {label.get_text(): label.xy[0] for label in fig.axes[0].__dict__["_end_labels"]}
    assert ends == {"CNN": 2_000, "ViT": 8_000}
    for label in fig.axes[0].__dict__["_end_labels"]:
        assert abs(label.get_position()[1]) <= 2 * label.get_fontsize(), (
            "no farther than two lines from its point"
        )


def test_an_interval_of_a_share_does_not_leave_0_to_100_and_stands_where_it_was_measured():
    rows = [
        {"model": "CNN", "size": size, "seed": seed, "test_accuracy": value}
        for size, values in ((100, (0.8, 1.0, 1.0)), (400, (1.0, 1.0, 0.9)))
        for seed, value in enumerate(values)
    ]
    rows += [{"model": "ViT", "size": 200, "seed": s, "test_accuracy": 0.01 * s} for s in range(3)]
    fig, _ = plots.curves(rows)
    drawn = [segment for lines in fig.axes[0].collections for segment in lines.get_segments()]
    assert sorted(segment[0][0] for segment in drawn) == [100, 200, 400]
    assert all(0 <= y <= 100 for segment in drawn for _, y in segment)
    bars, alt = plots.bars(rows)
    whiskers = [segment for lines in bars.axes[0].collections for segment in lines.get_segments()]
    assert all(0 <= x <= 100 for segment in whiskers for x, _ in segment)
    said = [text.get_text() for text in bars.axes[0].texts]
    assert said and all(len(number.split(".")[1]) == 1 for text in said for number in text.split(" ± ")), said


def test_the_table_of_faults_names_every_test():
    page = (ROOT / "utils" / "experiments" / "README.md").read_text(encoding="utf-8")
    there = set(re.findall(r"`(test_\w+)` \|", page))
    found = set()
    for path in (ROOT / "tests" / "faults").glob("test_*.py"):
        found |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M))
    assert there == found - {"test_the_table_of_faults_names_every_test"} and len(there) >= 35
