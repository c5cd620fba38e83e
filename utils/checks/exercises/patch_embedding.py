"""Checks: from patches to tokens with a class token and positions."""

from __future__ import annotations

import torch

from utils.checks.spec import Case, Draw, Exercise

DOUBLE = torch.float64


def embedding_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], p: int, dim: int, mode="eval", dtype=torch.float32) -> Case:
        init = {"patch_size": p, "dim": dim, "in_channels": shape[1]}
        return Case(name, args={"images": draw.normal(*shape, dtype=dtype)}, init=init, mode=mode)

    return [
        case("a wide RGB image", (2, 3, 4, 6), 2, 5),
        case("a tall grey image", (3, 1, 9, 6), 3, 4),
        case("one patch, training", (2, 3, 4, 4), 4, 7, "train"),
        case("double precision", (1, 2, 4, 8), 2, 3, dtype=DOUBLE),
    ]


PATCH_EMBEDDING = Exercise(
    name="PatchEmbedding",
    notebook="05_vit",
    points=2,
    stars=2,
    minutes=10,
    kind="module",
    reference="solutions.patch_embedding:PatchEmbedding",
    stand_in="utils.stand_ins.patch_embedding:PatchEmbedding",
    uses=("patchify",),
    cases=embedding_cases,
)


def convolution_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], p: int, dim: int, dtype: torch.dtype = torch.float32) -> Case:
        args = {
            "images": draw.normal(*shape, dtype=dtype),
            "weight": draw.normal(dim, shape[1] * p * p, scale=0.5, dtype=dtype),
            "bias": draw.normal(dim, dtype=dtype),
            "patch_size": p,
        }
        return Case(name, args=args)

    return [
        case("a wide RGB image", (2, 3, 4, 6), 2, 5),
        case("a tall grey image", (3, 1, 9, 6), 3, 4),
        case("one patch", (2, 3, 4, 4), 4, 7),
        case("double precision", (1, 2, 4, 8), 2, 3, DOUBLE),
    ]


EMBED_BY_CONVOLUTION = Exercise(
    name="embed_by_convolution",
    notebook="05_vit",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.patch_embedding:embed_by_convolution",
    cases=convolution_cases,
)


def token_cases(draw: Draw) -> list[Case]:
    def case(name: str, b: int, n: int, d: int, cls: float | None = 1.0, dtype=torch.float32) -> Case:
        args = {
            "tokens": draw.normal(b, n, d, dtype=dtype),
            "cls_token": None if cls is None else draw.normal(1, 1, d, scale=cls, dtype=dtype),
            "positions": draw.normal(1, n + (cls is not None), d, dtype=dtype),
        }
        return Case(name, args=args)

    return [
        case("three images", 3, 4, 5),
        case("one image, a CLS token of zeros", 1, 6, 3, cls=0.0),
        case("no CLS token", 2, 5, 4, cls=None),
        case("double precision", 2, 3, 6, dtype=DOUBLE),
    ]


ADD_CLS_AND_POSITIONS = Exercise(
    name="add_cls_and_positions",
    notebook="05_vit",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.patch_embedding:add_cls_and_positions",
    stand_in="utils.stand_ins.patch_embedding:add_cls_and_positions",
    cases=token_cases,
)
