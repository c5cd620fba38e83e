"""The benchmarks, without timing anything: every suite builds, its sides are equal where they claim it, the race is counted right."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import sys

import pytest
import torch
from torch import nn

from utils.authoring.bench import __main__ as command
from utils.authoring.bench import parity, race, vision
from utils.authoring.bench.race import Absent, Contest

VISION = ["vit", "swin", "mixer", "poolformer"]


def suite(name: str):
    return importlib.import_module(f"utils.authoring.bench.suites.{name}")


@pytest.mark.parametrize("name", VISION)
@pytest.mark.slow
def test_vision_suites_build_and_every_way_runs(name: str) -> None:
    contests = suite(name).contests(tiny=True)
    assert len({contest.name for contest in contests}) == len(contests)
    for contest in contests:
        assert contest.setting
        if isinstance(contest, Absent) or "compile" in contest.name:  # compiling takes minutes
            continue
        for way in (contest.ours, *contest.peers.values()):
            way()
    passes = [contest.name.split(", ", 1)[1] for contest in contests if ", " in contest.name]
    formats = ("float32", "channels_last") + (("bfloat16 autocast", "compile") if name == "vit" else ())
    assert passes == [f"{p}, {f}" for f in formats for p in ("forward", "forward and backward")]


def test_bfloat16_is_computed_as_in_the_course_on_all_sides() -> None:
    """Autocast with the attention kernels of `Precision.forward`, the fused one being slow on a CPU; and afterwards all is as before."""

    def seen() -> tuple[bool, bool, torch.dtype]:
        fused = torch.backends.cuda.flash_sdp_enabled()  # the switch is the CPU's too
        return torch.is_autocast_enabled("cpu"), fused, torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype

    assert vision.autocast(seen)() == (True, False, torch.bfloat16)
    assert seen() == (False, True, torch.float32)
    narrow = [c for c in suite("vit").contests(tiny=True) if "bfloat16" in c.name]
    assert len(narrow) == 2 and {c.target for c in narrow} == {vision.NARROW_TARGET}


@pytest.mark.parametrize("name", VISION)
def test_suites_name_the_sizes_of_the_issue(name: str) -> None:
    """The timed configuration is the published one: as many parameters as the answer's own named configuration."""
    module = suite(name)
    full, config, millions = {
        "vit": ("ViT-S/16", "vit_s_16", 22.05),
        "swin": ("Swin-T", "swin_tiny_224", 28.29),
        "mixer": ("Mixer-S/16", "mixer_s_16", 18.53),
        "poolformer": ("PoolFormer-S12", "poolformer_s12", 11.92),
    }[name]
    with torch.device("meta"):
        if name == "swin":
            model = module.answer("solutions.swin_model:swin")(config)
            timed = module.answer("solutions.swin_model:SwinTransformer")(**module.SIZES[full])
        else:
            where = {"vit": "vit:ViT", "mixer": "mixer:MLPMixer", "poolformer": "metaformer:PoolFormer"}[name]
            cls = module.answer(f"solutions.{where}")
            model, timed = cls.from_config(config), cls(**module.SIZES[full])
    assert vision.count(timed) == vision.count(model)
    assert vision.count(model) / 1e6 == pytest.approx(millions, abs=0.01)


def test_the_cifar_vit_is_the_courses() -> None:
    module = suite("vit")
    cls = module.answer("solutions.vit:ViT")
    assert vision.count(cls(**module.SIZES["CIFAR ViT"])) == vision.count(cls.from_config("vit_cifar"))


@pytest.mark.parametrize("name", VISION)
def test_sides_give_the_same_outputs_after_equalise(name: str) -> None:
    """In float32, as they are timed, in both modes: the first peer's weights are in ours, so these two agree."""
    sides = suite(name).sides()
    for side in sides:  # a head that starts at zero would make everything equal
        parity.redraw(side.model).float()
    vision.equalise(sides)
    peer = next(side for side in sides[1:] if side.rename is not None and side.part is None)
    shape = (2, 3, 32, 32) if name in ("swin", "poolformer") else (2, 3, 24, 24)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for train in (False, True):
        ours, theirs = sides[0].model.train(train)(images), peer.model.train(train)(images)
        assert ours.std() > 1e-4
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_an_unfair_race_is_refused() -> None:
    ours, theirs = nn.Linear(3, 4), nn.Linear(3, 5)
    with pytest.raises(ValueError, match="b has 20 parameters, ours has 16"):
        vision.equalise([vision.Side("ours", ours), vision.Side("b", theirs)])
    vision.equalise([vision.Side("ours", ours), vision.Side("b", theirs, extra=4)])
    dropping = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.1))
    with pytest.raises(ValueError, match="b: 1 drops with probability 0.1"):
        vision.equalise([vision.Side("ours", ours), vision.Side("b", dropping)])


def test_parity_table_is_exact_and_notices_a_difference() -> None:
    found = list(parity.rows())
    assert {row.model for row in found} >= {"ViT", "SwinTransformer", "MLPMixer", "PoolFormer", "LSTM"}
    assert {row.peer for row in found} >= {"transformers", "timm", "nn.LSTM", "nn.MultiheadAttention"}
    for row in found:
        assert row.parameters > 0
        assert row.output <= parity.TOLERANCE and row.gradient <= parity.TOLERANCE, row
    assert "met by all" in parity.table(found)

    x = torch.randn(2, 3, dtype=torch.float64)
    worse = parity.compare(
        ("a", "b"),
        nn.Sequential(nn.Linear(3, 4), nn.GELU()),
        nn.Sequential(nn.Linear(3, 4), nn.GELU("tanh")),
        dict,
        x,
    )
    assert worse.output > 1e-6 and worse.gradient > 1e-6
    assert "NOT met by 1 of 1" in parity.table([worse])


def test_apart_needs_something_to_compare() -> None:
    zero, one = torch.zeros(2), torch.ones(2)
    assert parity.apart({"a": one, "b": zero}, {"a": one, "b": zero}) == 0
    assert parity.apart({"a": one * 3}, {"a": one * 4}) == 0.25
    with pytest.raises(ValueError, match="only one side has b"):
        parity.apart({"a": one}, {"a": one, "b": one})
    with pytest.raises(ValueError, match="all values are zero"):
        parity.apart({"a": zero}, {"a": zero})
    with pytest.raises(ValueError, match=r"a is \(2,\) here and \(1,\) there"):
        parity.apart({"a": one}, {"a": one[:1]})


class Clock:
    """A clock that ways move by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def way(self, *durations: float):
        left = itertools.cycle(durations)

        def call() -> None:
            self.now += next(left)

        return call


def test_race_pairs_the_rounds_against_the_fastest_peer() -> None:
    clock = Clock()
    contest = Contest(
        "c", "s", clock.way(1.0, 2.0, 6.0), {"slow": clock.way(9.0), "fast": clock.way(2.0, 4.0, 4.0)}
    )
    outcome = race.run(contest, rounds=3, warmup=0, clock=clock)
    assert outcome.fastest == "fast"
    assert outcome.ratio == pytest.approx(0.5)  # of 0.5, 0.5 and 1.5; the ratio of the medians is 0.5 as well
    assert (outcome.low, outcome.high) == pytest.approx((0.5, 1.0))
    assert outcome.milliseconds == pytest.approx({"ours": 2000, "slow": 9000, "fast": 4000})
    assert "met" in race.table([outcome])


def test_race_does_not_count_the_warmup_and_rotates_the_order() -> None:
    clock, order = Clock(), []

    def side(name: str, durations: tuple[float, ...]):
        way = clock.way(*durations)

        def call() -> None:
            order.append(name)
            way()

        return call

    contest = Contest(
        "c", "s", side("ours", (100.0, 1.0, 1.0)), {"a": side("a", (1.0,)), "b": side("b", (2.0,))}
    )
    outcome = race.run(contest, rounds=2, warmup=1, clock=clock)
    assert outcome.ratio == 1.0 and outcome.rounds == 2
    assert order == ["ours", "a", "b", "a", "b", "ours", "b", "ours", "a"]


def test_race_stops_after_its_seconds_but_not_before_the_fewest_rounds() -> None:
    clock = Clock()
    contest = Contest("c", "s", clock.way(1.0), {"a": clock.way(1.0)})
    assert race.run(contest, rounds=20, seconds=-1.0, clock=clock).rounds == race.FEWEST
    assert race.run(contest, rounds=7, clock=clock).rounds == 7


def test_absent_rows_say_why(monkeypatch) -> None:
    monkeypatch.setattr(vision, "no_compiler", lambda: "there is no C++ compiler here")
    module = suite("vit")
    absent = [c for c in module.contests(tiny=True) if isinstance(c, Absent)]
    assert [c.name for c in absent] == [f"tiny ViT, {p}, compile" for p in vision.PASSES]
    assert race.run(absent[0]) is absent[0]
    assert "not run: there is no C++ compiler here" in race.table(absent)
    assert absent[0].record()["absent"] == "there is no C++ compiler here"


def test_command_writes_where_it_is_told_and_keeps_other_suites(tmp_path, monkeypatch, capsys) -> None:
    file = tmp_path / "deep" / "bench.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"lstm": {"rows": []}}))
    made = [Contest("c", "s", lambda: None, {"a": lambda: math.factorial(50)})]
    monkeypatch.setattr(suite("swin"), "contests", lambda: made)
    monkeypatch.setattr(sys, "argv", ["bench", "swin", "--rounds", "3", "--out", str(file)])
    assert command.main() == 0
    written = json.loads(file.read_text())
    assert written.keys() == {"lstm", "swin"}
    assert written["swin"]["rows"][0]["rounds"] == 3
    assert "python -m utils.authoring.bench swin --rounds 3" in written["swin"]["command"]
    assert "ratio to a" in capsys.readouterr().out


def test_every_suite_is_known_to_the_command() -> None:
    assert set(VISION) | {"encoder", "lstm"} <= set(command.SUITES)


def test_recorded_bfloat16_is_as_fast_as_the_fastest_peer() -> None:
    """What was recorded, not a timing: for both sizes and both passes at most 1.05 of the fastest peer's time."""
    rows = [row for row in json.loads(command.FILE.read_text())["vit"]["rows"] if "bfloat16" in row["name"]]
    assert len(rows) == 4 and {len(row["milliseconds"]) for row in rows} == {4}
    assert all(row["ratio"] <= row["target"] == 1.05 for row in rows), rows
