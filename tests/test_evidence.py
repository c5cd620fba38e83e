"""Predictions held against rows, and citations held against findings: by hand, on rows that are made up here."""

from __future__ import annotations

import json
import math

import pytest

from utils.experiments import evidence as module
from utils.experiments.claims import Claim
from utils.experiments.declare import find, names
from utils.experiments.evidence import Evidence, citations, provenance, recorded, written_answer
from utils.experiments.statistics import Interval
from utils.experiments.verdicts import Verdict, judge
from utils.paths import ROOT


@pytest.mark.parametrize("name", names())
def test_no_rows_mean_no_verdict(name: str) -> None:
    verdicts = judge(name, [])
    assert [v.prediction for v in verdicts] == [str(p) for p in find(name).predictions] != []
    assert {v.outcome for v in verdicts} == {"not recorded"}


@pytest.mark.parametrize(
    ("mean", "half", "state"),
    [(0.30, 0.05, "held"), (0.30, 0.25, "open"), (0.05, 0.01, "failed"), (0.30, math.nan, "open"), (math.nan, math.nan, "not recorded")],
)  # fmt: skip
def test_a_claim_is_held_only_by_its_whole_interval(mean: float, half: float, state: str) -> None:
    assert Claim("x", Interval(mean, half, 3), above=0.1).state == state
    assert Claim("x", Interval(-mean, half, 3), below=-0.1).state == state


def test_a_prediction_is_as_good_as_its_claims() -> None:
    held, open_, failed = (
        Claim("x", Interval(m, h, 3), above=0) for m, h in ((0.2, 0.1), (0.2, 0.3), (-0.2, 0.1))
    )
    outcomes = [
        Verdict("e", "p", claims).outcome
        for claims in ((held, held), (held, open_), (held, failed), (failed,), ())
    ]
    assert outcomes == ["held", "open", "partly", "failed", "not recorded"]
    assert "+20.0 ± 10.0 points, expected above 0" in str(held)
    assert "(no)" in str(failed)


def row(model: str, size: int, seed: int, test: float, **more) -> dict:
    return {"model": model, "size": size, "seed": seed, "test_accuracy": test, "train_accuracy": 1.0, "arm": "steps",
            "augment": False, "test_images": 1000, **more}  # fmt: skip


def test_data_scaling_by_hand() -> None:
    rows = []
    for seed, noise in ((0, 0.0), (1, 0.01), (2, 0.02)):
        rows += [row("CNN", 500, seed, 0.40 + noise), row("ViT", 500, seed, 0.28 + noise)]
        rows += [row("hybrid ViT", 500, seed, 0.34 + noise), row("CNN", 8000, seed, 0.60 + noise)]
        rows += [row("ViT", 8000, seed, 0.61), row("hybrid ViT", 8000, seed, 0.615 + noise)]
    verdicts = judge("data-scaling", rows)
    ahead, log_distance = verdicts[0], verdicts[1]
    # 12 points at 500 with no spread: held; at 8,000 the CNN is behind in one seed, equal in one, ahead in one: 0 ± 2.5
    assert [c.state for c in ahead.claims] == ["held", "open"] and ahead.outcome == "open"
    assert ahead.claims[0].found.mean == pytest.approx(0.12) and ahead.claims[1].found.mean == pytest.approx(
        0.0
    )
    # ln-distance at 500 of the first seed: ln(0.72 / 0.60); it is about 0 at 8,000, so it shrinks
    assert log_distance.outcome == "failed"
    first = math.log(0.39 / 0.40) - math.log(0.72 / 0.60)
    assert log_distance.claims[0].found.mean == pytest.approx(
        sum(
            [
                first,
                math.log(0.39 / 0.39) - math.log(0.71 / 0.59),
                math.log(0.39 / 0.38) - math.log(0.70 / 0.58),
            ]
        )
        / 3
    )
    assert verdicts[-1].outcome == "not recorded", "no gpu rows"


def test_the_stem_has_a_share_only_where_there_is_a_distance() -> None:
    rows = []
    for seed, noise in ((0, 0.0), (1, 0.01), (2, -0.01)):
        rows += [
            row("CNN", 500, seed, 0.30 + noise),
            row("ViT", 500, seed, 0.30 - noise),
            row("hybrid ViT", 500, seed, 0.32),
        ]
        rows += [row("CNN", 8000, seed, 0.50), row("ViT", 8000, seed, 0.40), row("hybrid ViT", 8000, seed, 0.45 + noise / 2)]  # fmt: skip
    # 500: CNN minus ViT is 0 ± 5 points, and the ratio of the seeds would be 1/0, 1.5, -0.5
    (claim,) = judge("data-scaling", rows)[2].claims
    assert claim.what.endswith("8,000") and claim.found.mean == pytest.approx(0.5) and claim.state == "held"
    # without any distance, what fails is the premise
    flat = [r | {"test_accuracy": 0.3 + r["seed"] / 100} for r in rows]
    assert [c.what for c in judge("data-scaling", flat)[2].claims] == [
        "CNN minus ViT, 500",
        "CNN minus ViT, 8,000",
    ]


def test_symmetry_by_hand() -> None:
    rows = []
    for seed in range(3):
        for model, cost in (("CNN", 0.2 + seed / 100), ("ViT", (seed - 1) / 100)):
            rows.append(row(model, 10, seed, 0.5, arm="as they are"))
            rows.append(row(model, 10, seed, 0.5 - cost, arm="patches permuted"))
            rows.append(row(model, 10, seed, 0.3, arm="pixels permuted"))
    verdicts = judge("symmetry", rows)
    assert verdicts[0].outcome == "held"
    assert verdicts[1].claims[0].found.mean == pytest.approx(0.0)
    assert verdicts[2].outcome == "not recorded", "no probes in these rows"


# ------------------------------------------------------------------------------------------ evidence


def test_provenance_is_made_from_the_rows() -> None:
    rows = [
        row("CNN", 10, seed, 0.5, machine="two cores, no GPU", seconds=1800, steps_taken=100)
        for seed in (0, 1)
    ]
    said = provenance("x", rows)
    assert "2 recorded trainings of 100 steps, 2 seeds at most, 1.0 hours on CPU cores, no GPU" in said
    assert "Machine: two cores, no GPU." in said
    assert "on a GPU" in provenance("x", [rows[0] | {"machine": "NVIDIA H200"}])
    assert "python -m utils.experiments run x" in provenance("x", [])


def test_recorded_prefers_the_gpu_and_leaves_tuning_out(monkeypatch, capsys) -> None:
    rows = [
        {"stage": "main", "preset": "cpu", "seed": 0, "machine": "no GPU", "size": 1},
        {"stage": "tune", "preset": "cpu", "seed": 0, "machine": "no GPU", "size": 2},
        {"stage": "main", "preset": "smoke", "seed": 0, "machine": "no GPU", "size": 3},
    ]
    monkeypatch.setattr(module, "load", lambda name: rows)
    assert [r["size"] for r in recorded("x")] == [1]
    rows.append({"stage": "main", "preset": "gpu", "seed": 0, "machine": "H200", "size": 4})
    assert [r["size"] for r in recorded("x")] == [4]
    assert recorded("x", quiet=True, size=1) == []
    assert "Machine: H200" in capsys.readouterr().out


def collected() -> Evidence:
    evidence = Evidence()
    for key in ("E1", "E2", "T1", "L1"):
        evidence.add(key, "a finding")
    evidence.add("M1", "mine", own=True)
    return evidence


TEXT = "A claim of many words follows here so that the text is long enough to be taken for an answer at all. "


def test_citations_are_counted_and_checked() -> None:
    evidence = collected()
    assert evidence.complaints(TEXT + "[E1] [E2] [T1] [M1]") == []
    said = evidence.complaints(TEXT + "[E1] [E1] [E9]", at_least=2)
    assert len(said) == 3
    assert said[0].startswith("E9: no cell has printed") and said[1].startswith("1 different findings")
    assert said[2].startswith("0 of your own") and "M1" in said[2]
    assert "words" in evidence.complaints(TEXT + "[E1] [E2] [T1] [M1]", words=(300, 700))[0]
    assert "still empty" in evidence.complaints("*Your answer:*")[0]
    for listed in (
        "[E1, E2; T1] [M1]",
        "[E1 and E2] [T1/M1]",
        "[E1,E2] [T1 & M1]",
        "[E1-E2; T1] [M1]",
        "[E1 to E2] [T1–M1]",
    ):
        assert evidence.complaints(TEXT + listed) == [], listed
    assert evidence.complaints(TEXT + "[E1, E99] [E2] [T1] [M1]")[0].startswith("E99: no cell")
    assert citations("[E9 to E11], [E3-E1], [E1-E2a]") == ["E9", "E10", "E11", "E3", "E1", "E1", "E2a"]
    assert len(citations("[E1-E999999999]")) == 100
    exactly = "word " * 30
    for heading in ("", "*Your answer:*\n\n", "*A model answer (one of many).*\n\n"):
        assert evidence.complaints(heading + exactly + "[E1, M1]", 2, words=(30, 30)) == []
    with pytest.raises(ValueError, match="like E1 or M2"):
        evidence.add("first", "x")


def test_the_saved_answer_is_read(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    evidence = collected()
    assert not evidence.review("individual", "10_x")
    assert "was not found" in capsys.readouterr().out
    cell = {
        "cell_type": "markdown",
        "metadata": {"nbgrader": {"grade_id": "individual"}},
        "source": [TEXT, "[E1][M1]"],
    }
    (tmp_path / "10_x.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": []}, cell]}))
    assert written_answer("individual", "10_x") == TEXT + "[E1][M1]"
    assert written_answer("team", "10_x") is None
    assert evidence.review("individual", "10_x", at_least=2)
    assert "Cited: E1, M1." in capsys.readouterr().out


def test_the_model_answers_lack_nothing_that_their_check_looks_for() -> None:
    notebook = json.loads((ROOT / "solutions" / "10_discussion.ipynb").read_text(encoding="utf-8"))
    said = [
        "".join(text for output in cell["outputs"] for text in output.get("text", []))
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and "evidence.review(" in "".join(cell["source"])
    ]
    assert len(said) == 2 and all("Nothing is lacking" in text for text in said), said
