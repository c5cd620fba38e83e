"""Published ViT weights, whichever library wrote them, under one set of names: those of the files on the Hugging Face Hub.

`Checkpoint(state)` is read like a dictionary. It remembers what was read, so that `copy_into` can say which weight was
missing, has another shape, or was never used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping

import torch
from torch import Tensor, nn

# transformers 5 renames the Hub's weights in memory; timm has its own names. Both tables lead to the Hub's names.
TRANSFORMERS_5 = (
    (r"^vit\.layers\.(\d+)\.", r"vit.encoder.layer.\1."),
    (r"\.attention\.q_proj\.", ".attention.attention.query."),
    (r"\.attention\.k_proj\.", ".attention.attention.key."),
    (r"\.attention\.v_proj\.", ".attention.attention.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
TIMM = (
    (r"^cls_token$", "vit.embeddings.cls_token"),
    (r"^pos_embed$", "vit.embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "vit.embeddings.patch_embeddings.projection."),
    (r"^blocks\.(\d+)\.", r"vit.encoder.layer.\1."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"^norm\.", "vit.layernorm."),
    (r"^head\.", "classifier."),
)


def hub_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ViT classifier's state dict under the Hub's names (`vit.encoder.layer.0.attention.attention.query.weight`, ...).

    Args:
        state: state dict of `transformers`' `ViTForImageClassification` (from the Hub's file or from memory) or of timm's
            `VisionTransformer`. timm keeps queries, keys and values in one matrix, which is cut into its three thirds.

    Returns:
        a new dictionary; names that no table knows are left as they are.
    """
    from_timm = "patch_embed.proj.weight" in state
    renamed = {}
    for name, value in state.items():
        new = name
        for pattern, replacement in TIMM if from_timm else TRANSFORMERS_5:
            new = re.sub(pattern, replacement, new)
        if from_timm and ".attn.qkv." in new:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[new.replace(".attn.qkv.", f".attention.attention.{part}.")] = third
        else:
            renamed[new] = value
    return renamed


class _Converted(MutableMapping):
    """The weights under the model's names; each remembers which of the file's it was made of."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.values_by_name: dict[str, Tensor] = {}
        self.sources: dict[str, list[str]] = {}

    def __setitem__(self, name: str, value: Tensor) -> None:
        self.values_by_name[name] = value
        self.sources[name], self.checkpoint.recent = self.checkpoint.recent, []

    def __getitem__(self, name: str) -> Tensor:
        return self.values_by_name[name]

    def __delitem__(self, name: str) -> None:
        del self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


class Checkpoint(Mapping):
    """A file's weights under the Hub's names, read like a dictionary.

    Args:
        state: see `hub_names`.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = hub_names(state)
        self.used: set[str] = set()
        self.recent: list[str] = []  # read since the last weight was converted

    def __getitem__(self, name: str) -> Tensor:
        """The weight of that name.

        Raises:
            ValueError: if the file has none; one sentence with the name.
        """
        if name not in self.state:
            some = ", ".join(list(self.state)[:3])
            raise ValueError(f"the checkpoint has no weight {name!r} (it begins with {some}, ...)")
        self.used.add(name)
        self.recent.append(name)
        return self.state[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)

    def converted(self) -> MutableMapping[str, Tensor]:
        """An empty dictionary for the weights under the model's names."""
        return _Converted(self)

    def copy_into(self, model: nn.Module, own: Mapping[str, Tensor]) -> None:
        """Copies `own` into the model if, and only if, everything fits: nothing missing, unexpected or of another shape.

        Args:
            model: the module to fill.
            own: weights under the model's names.

        Raises:
            ValueError: one sentence that names the first weight that does not fit; the model is left as it was.
        """
        sources = getattr(own, "sources", {})
        wanted = model.state_dict()
        for name, value in own.items():
            origin = f" (from {', '.join(sources[name])})" if sources.get(name) else ""
            if name not in wanted:
                raise ValueError(f"the model has no weight {name!r}{origin}")
            if value.shape != wanted[name].shape:
                raise ValueError(
                    f"{name!r}{origin} has shape {tuple(value.shape)}, and this model's is {tuple(wanted[name].shape)}"
                )
        for name in wanted:
            if name not in own:
                raise ValueError(f"nothing was given for the model's weight {name!r}")
        for name in self.state:
            if name not in self.used and any(value is self.state[name] for value in own.values()):
                raise ValueError(
                    f"the weight {name!r} was read from `state` itself: read it through the checkpoint, which also knows timm's names"
                )
            if name not in self.used:
                raise ValueError(f"the checkpoint's weight {name!r} has no place in this model")
        with torch.no_grad():
            for name, target in model.state_dict().items():
                target.copy_(own[name])


def from_hub(name: str = "google/vit-base-patch16-224") -> tuple[dict[str, Tensor], list[str]] | None:
    """Weights and class names of a ViT classifier on the Hugging Face Hub, or None (with one printed line) without it.

    Args:
        name: of the model on the Hub; about 350 MB for the default, kept in the Hub's cache.

    Returns:
        `(state dict, class names)`, or None if the Hub can't be reached.
    """
    import json
    from pathlib import Path

    from huggingface_hub import hf_hub_download
    from safetensors.torch import load_file

    from utils.data.readers import why_offline
    from utils.words import say

    reason = why_offline()  # known within three seconds; the cache is asked all the same
    try:
        paths = [
            hf_hub_download(name, file, local_files_only=bool(reason))
            for file in ("config.json", "model.safetensors")
        ]
    except (
        Exception
    ) as error:  # offline, refused, no such name: the notebook goes on with the course's checkpoint
        print(say("{name} is not at hand: {reason}.", name=name, reason=reason or type(error).__name__))
        return None
    config, state = json.loads(Path(paths[0]).read_text()), load_file(paths[1])
    names = config["id2label"]
    return state, [names[str(i)] for i in range(len(names))]
