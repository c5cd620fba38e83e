"""What a text model has learned of the order of words: two questions to a trained classifier, and three other classifiers.

* `shuffled_accuracy`: its accuracy when the words of each held-out sentence stand in a random order,
* `pairs_passed`: how many of the minimal pairs of `utils.data.diagnostics` it passes,
* `without_positions`: the course's Transformer classifier, its positions left out. What it then computes is the same for every order
  of the words, so it is a bag of words: the baseline that tells what order is worth,
* `relative_positions`: the same, told in every layer how far apart two words stand,
* `local_start`: that one, each head of which begins by looking at one neighbour.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.data.diagnostics import DiagnosticPair, diagnostic_pairs
from utils.data.text import Batches, Example, tokenize
from utils.experiments.models import resolve
from utils.stand_ins.text import collate

SHUFFLES = 5  # random orders per sentence


def without_positions(**arguments: Any) -> nn.Module:
    """`solutions.sentiment:TransformerClassifier` that adds no positions to its embeddings; same parameters, same initial values."""
    model: Any = resolve("solutions.sentiment:TransformerClassifier")(**arguments)
    scale = math.sqrt(model.embedding.embedding_dim)
    model.embed = lambda tokens: model.embedding(tokens) * scale  # (B, N) -> (B, N, D)
    return model


class RelativeBias(nn.Module):
    """Attention whose scores get a number per head and distance, learned, zero at first (Raffel et al. 2020, without their buckets).

    Args:
        num_heads: H.
        furthest: distances beyond it share the number of the furthest.
    """

    def __init__(self, num_heads: int, furthest: int = 16) -> None:
        super().__init__()
        self.furthest = furthest
        self.bias = nn.Parameter(torch.zeros(num_heads, 2 * furthest + 1))

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, need_weights: bool = False
    ) -> tuple[Tensor, None]:
        """(B, H, N, d), (B, H, M, d), (B, H, M, d), bool mask or None -> (B, H, N, d) and no weights."""
        n, m = query.shape[-2], key.shape[-2]
        away = torch.arange(m, device=query.device) - torch.arange(n, device=query.device)[:, None]
        bias = self.bias[:, away.clamp(-self.furthest, self.furthest) + self.furthest]  # (H, N, M)
        added = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
        return F.scaled_dot_product_attention(query, key, value, added), None


def relative_positions(**arguments: Any) -> nn.Module:
    """`without_positions` with a :class:`RelativeBias` in every layer: how far apart two words stand is all that it knows of order."""
    model: Any = without_positions(**arguments)
    for layer in model.encoder.layers:
        attention = layer.self_attn
        attention.relative = RelativeBias(attention.num_heads)
        attention.__dict__["attend"] = attention.relative  # in place of the method
    return model


def local_start(**arguments: Any) -> nn.Module:
    """`relative_positions` whose heads begin by looking to the left or right, as convolutions would (d'Ascoli et al. 2021, ConViT).

    Head h of H adds -|d - (h - H // 2)| to the scores of distance d: four heads begin at the word two before, one before, itself, one
    behind. All of it is learned from there.
    """
    model: Any = relative_positions(**arguments)
    for layer in model.encoder.layers:
        relative = layer.self_attn.relative
        heads, furthest = len(relative.bias), relative.furthest
        away = torch.arange(-furthest, furthest + 1)
        with torch.no_grad():
            relative.bias.copy_(-(away - (torch.arange(heads)[:, None] - heads // 2)).abs())
    return model


def shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """The same (tokens, label), the tokens of each in a random order."""
    draw = random.Random(seed)
    return [(draw.sample(tokens, len(tokens)), label) for tokens, label in examples]


@torch.no_grad()
def _share_right(model: nn.Module, examples: Sequence[Example]) -> float:
    device, right = next(model.parameters()).device, 0
    for tokens, lengths, labels in Batches(list(examples), 256, collate):
        logits = model(tokens.to(device), lengths.to(device))
        right += int((logits.argmax(dim=1).cpu() == labels).sum())
    return right / len(examples)


def shuffled_accuracy(model: nn.Module, examples: Sequence[Example]) -> float:
    """The share of right answers over `SHUFFLES` random orders of each sentence, the same orders for every model."""
    model.eval()
    return sum(_share_right(model, shuffled(examples, seed)) for seed in range(SHUFFLES)) / SHUFFLES


@torch.no_grad()
def passes(model: nn.Module, encode: Callable[[Sequence[str]], list[int]], pair: DiagnosticPair) -> bool:
    """Whether both labels are right where they differ; where they do not, whether the right sentence scores higher."""
    device = next(model.parameters()).device
    tokens, lengths, _ = collate([(encode(tokenize(text)), 0) for text in pair.sentences])
    logits: Tensor = model(tokens.to(device), lengths.to(device))  # (2, 2)
    margin = (logits[:, 1] - logits[:, 0]).tolist()
    if pair.labels_differ:
        return all((m > 0) == bool(label) for m, label in zip(margin, pair.labels, strict=True))
    return margin[pair.higher] > margin[1 - pair.higher]


def pairs_passed(model: nn.Module, encode: Callable[[Sequence[str]], list[int]]) -> dict[str, int]:
    """phenomenon -> how many of its 32 pairs the model passes."""
    model.eval()
    counts: dict[str, int] = {}
    for pair in diagnostic_pairs():
        counts[pair.phenomenon] = counts.get(pair.phenomenon, 0) + passes(model, encode, pair)
    return counts


def order_probes(
    model: nn.Module, encode: Callable[[Sequence[str]], list[int]], held: Sequence[Example]
) -> dict[str, Any]:
    """Both measurements, for a row."""
    return {
        "shuffled_accuracy": round(shuffled_accuracy(model, held), 4),
        "pairs_passed": pairs_passed(model, encode),
    }
