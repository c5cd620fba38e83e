"""Wrong and alternative right answers: other image sizes and published weights."""

from __future__ import annotations

from utils.grading.bank import Bank

positions_bank = Bank("interpolate_positions")

RESIZE = 'F.interpolate(grid, size=new_grid, mode="bicubic", align_corners=False)'

positions_bank.wrong(
    "bilinear",
    "You interpolate bilinearly; the published models are fine-tuned with bicubic interpolation.",
    edits={RESIZE: RESIZE.replace("bicubic", "bilinear")},
)

positions_bank.wrong(
    "nearest neighbour",
    "You copy the nearest position; bicubic interpolation was asked for.",
    edits={RESIZE: 'F.interpolate(grid, size=new_grid, mode="nearest")'},
)

positions_bank.wrong(
    "corners aligned",
    "You align the corners of the two grids (align_corners=True). Patches are areas, not points: the outer edges should meet.",
    edits={RESIZE: RESIZE.replace("False", "True")},
)

positions_bank.wrong(
    "antialiased",
    "You antialias (as timm does). Our definition is Hugging Face's: plain bicubic.",
    edits={RESIZE: RESIZE.replace("False", "False, antialias=True")},
)

OLD = 'rearrange(grid, "1 (h w) d -> 1 d h w", h=old_grid[0])'

positions_bank.wrong(
    "grid read column by column",
    "You read the positions as columns of a grid. They are in reading order: the row is the slower axis.",
    edits={OLD: 'rearrange(grid, "1 (w h) d -> 1 d h w", h=old_grid[0])'},
)

NEW = 'rearrange(grid, "1 d h w -> 1 (h w) d")'

positions_bank.wrong(
    "grid written column by column",
    "You write the new positions column by column; the row is the slower axis.",
    edits={NEW: 'rearrange(grid, "1 d h w -> 1 (w h) d")'},
)

positions_bank.wrong(
    "height and width swapped",
    "You take the old grid as width by height. It is (patches down, patches across).",
    edits={"h=old_grid[0]": "h=old_grid[1]"},
)

positions_bank.wrong(
    "new height and width swapped",
    "You resize to (width, height); both grids are (patches down, patches across).",
    edits={"size=new_grid": "size=new_grid[::-1]"},
)

positions_bank.wrong(
    "CLS at the end",
    "You put the CLS position behind the grid; it comes first.",
    edits={f"[cls, {NEW}]": f"[{NEW}, cls]"},
)

positions_bank.wrong(
    "CLS lost",
    "The position of CLS is lost on the way: it should be in front of the new grid, unchanged.",
    edits={f"torch.cat([cls, {NEW}], dim=1)": NEW},
)

positions_bank.wrong(
    "the last one taken for CLS",
    "You take the last position for CLS's. It is the first.",
    edits={
        "positions[:, :extra], positions[:, extra:]": "positions[:, positions.shape[1] - extra :], "
        "positions[:, : positions.shape[1] - extra]"
    },
)

positions_bank.wrong(
    "the list of positions stretched",
    "You stretch the list of positions as if it were a line. The positions lie on a grid of rows and columns, which is resized along both.",
    edits={
        "grid = " + OLD: "grid = grid.mT.unsqueeze(2)",
        RESIZE: 'F.interpolate(grid, size=(1, new_grid[0] * new_grid[1]), mode="bicubic", align_corners=False)',
    },
)


@positions_bank.right("reshape and permute")
def interpolate_positions(positions, old_grid, new_grid):
    if positions.shape[1] - old_grid[0] * old_grid[1] not in (0, 1):
        raise ValueError("the positions do not fit the old grid")
    (h, w), d = old_grid, positions.shape[-1]
    first = positions.shape[1] - h * w
    image = positions[:, first:].reshape(1, h, w, d).permute(0, 3, 1, 2)
    image = F.interpolate(image, new_grid, mode="bicubic")
    return torch.cat([positions[:, :first], image.flatten(2).transpose(1, 2)], dim=1)


@positions_bank.right("one channel at a time")
def interpolate_positions(positions, old_grid, new_grid):
    if positions.shape[1] - old_grid[0] * old_grid[1] not in (0, 1):
        raise ValueError("the positions do not fit the old grid")
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    channels = []
    for channel in positions[0, extra:].T:
        plane = F.interpolate(
            channel.reshape(1, 1, *old_grid), size=new_grid, mode="bicubic", align_corners=False
        )
        channels.append(plane.flatten())
    return torch.cat([positions[0, :extra], torch.stack(channels, dim=1)])[None]


@positions_bank.right("nn.Upsample, in float64")
def interpolate_positions(positions, old_grid, new_grid):
    if positions.shape[1] - old_grid[0] * old_grid[1] not in (0, 1):
        raise ValueError("the positions do not fit the old grid")
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    image = rearrange(positions[:, extra:].double(), "b (h w) d -> b d h w", h=old_grid[0], w=old_grid[1])
    image = nn.Upsample(size=tuple(new_grid), mode="bicubic")(image)
    return torch.cat((positions[:, :extra], rearrange(image, "b d h w -> b (h w) d").to(positions.dtype)), 1)


@positions_bank.right("written into an empty tensor")
def interpolate_positions(positions, old_grid, new_grid):
    if positions.shape[1] - old_grid[0] * old_grid[1] not in (0, 1):
        raise ValueError("the positions do not fit the old grid")
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    result = positions.new_empty(1, extra + new_grid[0] * new_grid[1], positions.shape[2])
    image = positions[:, extra:].unflatten(1, old_grid).movedim(-1, 1)
    result[:, extra:] = F.interpolate(image, size=new_grid, mode="bicubic").movedim(1, -1).flatten(1, 2)
    result[:, :extra] = positions[:, :extra]
    return result


@positions_bank.wrong(
    'unchanged where the numbers agree',
    'You take equal numbers of positions for equal grids. 2 x 6 is not 4 x 3: compare rows and columns.'
)
def interpolate_positions(positions, old_grid, new_grid):
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    if extra not in (0, 1):
        raise ValueError(f'{positions.shape[1]} positions fit no grid of {old_grid[0]} x {old_grid[1]}, with a CLS token or without')
    if new_grid[0] * new_grid[1] == old_grid[0] * old_grid[1]:
        return positions
    cls, patches = (positions[:, :extra], positions[:, extra:])
    grid = patches.reshape(1, *old_grid, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, new_grid, mode='bicubic', align_corners=False)
    return torch.cat([cls, grid.flatten(2).transpose(1, 2)], dim=1)


@positions_bank.wrong(
    'channels not moved',
    'You reshape the table to (1, D, h, w) without moving the channels in front of the grid.'
)
def interpolate_positions(positions, old_grid, new_grid):
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    if extra not in (0, 1):
        raise ValueError(f'{positions.shape[1]} positions fit no grid of {old_grid[0]} x {old_grid[1]}, with a CLS token or without')
    cls, patches = (positions[:, :extra], positions[:, extra:])
    D = positions.shape[-1]
    grid = F.interpolate(patches.reshape(1, D, *old_grid), new_grid, mode='bicubic', align_corners=False)
    return torch.cat([cls, grid.reshape(1, -1, D)], dim=1)


@positions_bank.wrong(
    'interpolated in one dimension',
    'You stretch the list of positions. They lie on a grid: interpolate along rows and columns.'
)
def interpolate_positions(positions, old_grid, new_grid):
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    if extra not in (0, 1):
        raise ValueError(f'{positions.shape[1]} positions fit no grid of {old_grid[0]} x {old_grid[1]}, with a CLS token or without')
    cls, patches = (positions[:, :extra], positions[:, extra:])
    n = new_grid[0] * new_grid[1]
    line = F.interpolate(patches.transpose(1, 2), n, mode='linear', align_corners=False)
    return torch.cat([cls, line.transpose(1, 2)], dim=1)


@positions_bank.wrong(
    'CLS resized too',
    'You resize the CLS position along with the others. It has no place on the grid: set it aside.'
)
def interpolate_positions(positions, old_grid, new_grid):
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    if extra not in (0, 1):
        raise ValueError(f'{positions.shape[1]} positions fit no grid of {old_grid[0]} x {old_grid[1]}, with a CLS token or without')
    if extra:
        stretched = F.interpolate(positions.transpose(1, 2), new_grid[0] * new_grid[1] + 1, mode='nearest')
        return stretched.transpose(1, 2)
    grid = positions.reshape(1, *old_grid, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, new_grid, mode='bicubic', align_corners=False)
    return grid.flatten(2).transpose(1, 2)


@positions_bank.right('permute')
def interpolate_positions(positions, old_grid, new_grid):
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    if extra not in (0, 1):
        raise ValueError(f'{positions.shape[1]} positions fit no grid of {old_grid[0]} x {old_grid[1]}, with a CLS token or without')
    cls, patches = (positions[:, :extra], positions[:, extra:])
    grid = patches.reshape(1, old_grid[0], old_grid[1], -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=tuple(new_grid), mode='bicubic', align_corners=False)
    return torch.cat([cls, grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


@positions_bank.right('einops')
def interpolate_positions(positions, old_grid, new_grid):
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    if extra not in (0, 1):
        raise ValueError(f'{positions.shape[1]} positions fit no grid of {old_grid[0]} x {old_grid[1]}, with a CLS token or without')
    h, w = old_grid
    image = rearrange(positions[:, extra:], 'one (h w) d -> one d h w', h=h, w=w)
    image = F.interpolate(image, tuple(new_grid), mode='bicubic', align_corners=False, antialias=False)
    patches = rearrange(image, 'one d h w -> one (h w) d')
    return patches if not extra else torch.cat((positions[:, :1], patches), dim=1)


positions_bank.wrong(
    "a factor in place of a size",
    "You give `F.interpolate` a factor. Old size times factor is rounded down, and for some grids a row or a column is missing then: give the size.",
    edits={"size=new_grid": "scale_factor=(new_grid[0] / old_grid[0], new_grid[1] / old_grid[1])"},
)


loading = Bank("load_pretrained")

loading.wrong(
    "filled in part before it refuses",
    "You write into the model as you go, so a file that does not fit leaves it half filled. Collect all weights in `own` first; "
    "`copy_into` looks at all of them before it writes one.",
    edits={
        'own["cls_token"] = checkpoint["vit.embeddings.cls_token"]': 'own["cls_token"] = checkpoint["vit.embeddings.cls_token"]\n    model.cls_token.data.copy_(checkpoint["vit.embeddings.cls_token"])'
    },
)

PARTS = '("query", "key", "value")'

loading.wrong(
    "queries, keys and values in another order",
    "You stack keys before queries. `in_proj_weight` holds queries, then keys, then values.",
    edits={PARTS: '("key", "query", "value")'},
)

loading.wrong(
    "keys and values swapped",
    "You stack values before keys. `in_proj_weight` holds queries, then keys, then values.",
    edits={PARTS: '("query", "value", "key")'},
)

loading.wrong(
    "the two norms swapped",
    "You have the two norms swapped: `layernorm_before` is the one before the attention, our `norm1`.",
    edits={
        '"norm1": "layernorm_before"': '"norm1": "layernorm_after"',
        '"norm2": "layernorm_after"': '"norm2": "layernorm_before"',
    },
)

loading.wrong(
    "kernels flattened as (p p C)",
    "You flatten the kernels as row, column, channel. `patchify` gives (C p p), and a kernel is stored as (D, C, p, p): nothing needs to "
    "be moved.",
    edits={"kernels.flatten(1)": "kernels.permute(0, 2, 3, 1).flatten(1)"},
)

loading.wrong(
    "kernels not flattened",
    "The kernels of the file are (D, C, p, p), and our projection's weight is (D, C * p * p): flatten all axes but the first.",
    edits={"kernels.flatten(1)": "kernels"},
)

loading.wrong(
    "matrices transposed",
    "You transpose the matrices. Both sides store a linear layer as (outputs, inputs), as PyTorch does; only JAX files need it.",
    edits={
        'own[f"{ours}.{name}.{kind}"] = checkpoint[f"{theirs}.{their_name}.{kind}"]': "value = checkpoint"
        '[f"{theirs}.{their_name}.{kind}"]\n                own[f"{ours}.{name}.{kind}"] = value.T if value.ndim > 1 else value'
    },
)

loading.wrong(
    "the same block everywhere",
    "Every block gets the weights of block 0.",
    edits={'f"vit.encoder.layer.{i}"': '"vit.encoder.layer.0"'},
)

loading.wrong(
    "biases left out",
    "Weights are copied without their biases: every linear layer and every norm has one, too.",
    edits={'for kind in ("weight", "bias")': 'for kind in ("weight",)'},
)

loading.wrong(
    "head left out",
    "The classifier's weights are never copied: our name for it is `head`.",
    edits={'own[f"head.{kind}"] = checkpoint[f"classifier.{kind}"]': "pass"},
)

loading.wrong(
    "CLS position cut off",
    "You drop the first position. It is CLS's own, and our table has it as well.",
    edits={
        'checkpoint["vit.embeddings.position_embeddings"]': 'checkpoint["vit.embeddings.position_embeddings"][:, 1:]'
    },
)

loading.wrong(
    "MLP layers swapped",
    "You have the two layers of the MLP swapped: `intermediate` widens the tokens (our `linear1`), `output` brings them back.",
    edits={
        '"linear1": "intermediate.dense"': '"linear1": "output.dense"',
        '"linear2": "output.dense"': '"linear2": "intermediate.dense"',
    },
)

loading.wrong(
    "queries, keys and values side by side",
    "You join queries, keys and values along the inputs. Their rows are stacked: (3 D, D).",
    edits={"torch.cat(parts)": "torch.cat(parts, dim=-1)"},
)


@loading.right("a table of names, block by block")
def load_pretrained(model, state):
    checkpoint = Checkpoint(state)
    own = checkpoint.converted()
    embeddings = "vit.embeddings."
    own["cls_token"] = checkpoint[embeddings + "cls_token"]
    own["positions"] = checkpoint[embeddings + "position_embeddings"]
    own["patch_embedding.projection.bias"] = checkpoint[embeddings + "patch_embeddings.projection.bias"]
    weight = checkpoint[embeddings + "patch_embeddings.projection.weight"]
    own["patch_embedding.projection.weight"] = rearrange(weight, "d c p q -> d (c p q)")
    table = [
        ("norm1", "layernorm_before"), ("norm2", "layernorm_after"), ("linear1", "intermediate.dense"),
        ("linear2", "output.dense"), ("self_attn.out_proj", "attention.output.dense"),
    ]  # fmt: skip
    for i, _ in enumerate(model.blocks):
        prefix = f"vit.encoder.layer.{i}."
        for kind in ("weight", "bias"):
            q, k, v = (
                checkpoint[f"{prefix}attention.attention.{n}.{kind}"] for n in ("query", "key", "value")
            )
            own[f"blocks.{i}.self_attn.in_proj_{kind}"] = torch.cat((q, k, v), dim=0)
            for ours, theirs in table:
                own[f"blocks.{i}.{ours}.{kind}"] = checkpoint[f"{prefix}{theirs}.{kind}"]
    for ours, theirs in (("norm", "vit.layernorm"), ("head", "classifier")):
        for kind in ("weight", "bias"):
            own[f"{ours}.{kind}"] = checkpoint[f"{theirs}.{kind}"]
    checkpoint.copy_into(model, own)
    return model


@loading.right("renaming with regular expressions")
def load_pretrained(model, state):
    import re

    checkpoint = Checkpoint(state)
    rules = [
        (r"^vit\.embeddings\.cls_token", "cls_token"), (r"^vit\.embeddings\.position_embeddings", "positions"),
        (r"^vit\.embeddings\.patch_embeddings\.", "patch_embedding."), (r"^vit\.encoder\.layer\.", "blocks."),
        (r"layernorm_before", "norm1"), (r"layernorm_after", "norm2"), (r"attention\.output\.dense", "self_attn.out_proj"),
        (r"intermediate\.dense", "linear1"), (r"output\.dense", "linear2"), (r"^vit\.layernorm", "norm"),
        (r"^classifier", "head"),
    ]  # fmt: skip
    own = {}
    for name in checkpoint:
        if re.search(r"attention\.(key|value)\.", name):
            continue
        value, new = checkpoint[name], name
        if ".query." in name:
            others = [checkpoint[name.replace("query", other)] for other in ("key", "value")]
            new = re.sub(r"attention\.attention\.query\.", "self_attn.in_proj_", name)
            value = torch.cat([value, *others])
        for pattern, ours in rules:
            new = re.sub(pattern, ours, new)
        own[new] = value.flatten(1) if value.ndim == 4 else value
    checkpoint.copy_into(model, own)
    return model


@loading.right("driven by the model's own names")
def load_pretrained(model, state):
    checkpoint = Checkpoint(state)
    own = {}
    renamed = {
        "norm1": "layernorm_before", "norm2": "layernorm_after", "self_attn.out_proj": "attention.output.dense",
        "linear1": "intermediate.dense", "linear2": "output.dense", "norm": "vit.layernorm", "head": "classifier",
        "patch_embedding.projection": "vit.embeddings.patch_embeddings.projection",
    }  # fmt: skip
    single = {"cls_token": "cls_token", "positions": "position_embeddings"}
    for name in model.state_dict():
        if name in single:
            own[name] = checkpoint["vit.embeddings." + single[name]]
        elif "in_proj" in name:
            i, kind = name.split(".")[1], name.rsplit("_", 1)[1]
            parts = [
                f"vit.encoder.layer.{i}.attention.attention.{part}.{kind}"
                for part in ("query", "key", "value")
            ]
            own[name] = torch.cat([checkpoint[part] for part in parts])
        else:
            stem, kind = name.rsplit(".", 1)
            if stem.startswith("blocks."):
                _, i, inner = stem.split(".", 2)
                theirs = f"vit.encoder.layer.{i}.{renamed[inner]}"
            else:
                theirs = renamed[stem]
            value = checkpoint[f"{theirs}.{kind}"]
            own[name] = value.reshape(len(value), -1) if value.ndim == 4 else value
    checkpoint.copy_into(model, own)
    return model


@loading.wrong(
    'biases in another order',
    "Your biases are stacked in another order than your weights. Both should be query, key, value."
)
def load_pretrained(model, state):
    checkpoint = Checkpoint(state)
    own = checkpoint.converted()
    e = 'vit.embeddings.'
    own['cls_token'], own['positions'] = (checkpoint[e + 'cls_token'], checkpoint[e + 'position_embeddings'])
    own['patch_embedding.projection.weight'] = checkpoint[e + 'patch_embeddings.projection.weight'].flatten(1)
    own['patch_embedding.projection.bias'] = checkpoint[e + 'patch_embeddings.projection.bias']
    for i in range(len(model.blocks)):
        hub, mine = (f'vit.encoder.layer.{i}.', f'blocks.{i}.')
        a = hub + 'attention.attention.'
        own[f'{mine}self_attn.in_proj_weight'] = torch.cat([checkpoint[a + 'query.weight'], checkpoint[a + 'key.weight'], checkpoint[a + 'value.weight']])
        own[f'{mine}self_attn.in_proj_bias'] = torch.cat([checkpoint[a + 'query.bias'], checkpoint[a + 'value.bias'], checkpoint[a + 'key.bias']])
        for kind in ('weight', 'bias'):
            own[f'{mine}norm1.{kind}'] = checkpoint[f'{hub}layernorm_before.{kind}']
            own[f'{mine}norm2.{kind}'] = checkpoint[f'{hub}layernorm_after.{kind}']
            own[f'{mine}self_attn.out_proj.{kind}'] = checkpoint[f'{hub}attention.output.dense.{kind}']
            own[f'{mine}linear1.{kind}'] = checkpoint[f'{hub}intermediate.dense.{kind}']
            own[f'{mine}linear2.{kind}'] = checkpoint[f'{hub}output.dense.{kind}']
    for kind in ('weight', 'bias'):
        own[f'norm.{kind}'] = checkpoint[f'vit.layernorm.{kind}']
        own[f'head.{kind}'] = checkpoint[f'classifier.{kind}']
    checkpoint.copy_into(model, own)
    return model


@loading.wrong(
    'output projection transposed',
    'You transpose the output projection. Both sides keep a linear layer as (out, in).'
)
def load_pretrained(model, state):
    checkpoint = Checkpoint(state)
    own = checkpoint.converted()
    e = 'vit.embeddings.'
    own['cls_token'], own['positions'] = (checkpoint[e + 'cls_token'], checkpoint[e + 'position_embeddings'])
    own['patch_embedding.projection.weight'] = checkpoint[e + 'patch_embeddings.projection.weight'].flatten(1)
    own['patch_embedding.projection.bias'] = checkpoint[e + 'patch_embeddings.projection.bias']
    for i in range(len(model.blocks)):
        hub, mine = (f'vit.encoder.layer.{i}.', f'blocks.{i}.')
        for kind in ('weight', 'bias'):
            own[f'{mine}norm1.{kind}'] = checkpoint[f'{hub}layernorm_before.{kind}']
            own[f'{mine}norm2.{kind}'] = checkpoint[f'{hub}layernorm_after.{kind}']
            own[f'{mine}self_attn.in_proj_{kind}'] = torch.cat([checkpoint[f'{hub}attention.attention.{part}.{kind}'] for part in ('query', 'key', 'value')])
            own[f'{mine}linear1.{kind}'] = checkpoint[f'{hub}intermediate.dense.{kind}']
            own[f'{mine}linear2.{kind}'] = checkpoint[f'{hub}output.dense.{kind}']
        own[f'{mine}self_attn.out_proj.weight'] = checkpoint[f'{hub}attention.output.dense.weight'].T
        own[f'{mine}self_attn.out_proj.bias'] = checkpoint[f'{hub}attention.output.dense.bias']
    for kind in ('weight', 'bias'):
        own[f'norm.{kind}'] = checkpoint[f'vit.layernorm.{kind}']
        own[f'head.{kind}'] = checkpoint[f'classifier.{kind}']
    checkpoint.copy_into(model, own)
    return model


@loading.wrong(
    'heads interleaved',
    'You stack query, key and value head by head. `in_proj_weight` holds all queries, then all keys, then all values.'
)
def load_pretrained(model, state):
    checkpoint = Checkpoint(state)
    own = checkpoint.converted()
    e = 'vit.embeddings.'
    own['cls_token'], own['positions'] = (checkpoint[e + 'cls_token'], checkpoint[e + 'position_embeddings'])
    own['patch_embedding.projection.weight'] = checkpoint[e + 'patch_embeddings.projection.weight'].flatten(1)
    own['patch_embedding.projection.bias'] = checkpoint[e + 'patch_embeddings.projection.bias']
    for i in range(len(model.blocks)):
        hub, mine = (f'vit.encoder.layer.{i}.', f'blocks.{i}.')
        H = model.blocks[i].self_attn.num_heads
        for kind in ('weight', 'bias'):
            own[f'{mine}norm1.{kind}'] = checkpoint[f'{hub}layernorm_before.{kind}']
            own[f'{mine}norm2.{kind}'] = checkpoint[f'{hub}layernorm_after.{kind}']
            parts = [checkpoint[f'{hub}attention.attention.{part}.{kind}'].unflatten(0, (H, -1)) for part in ('query', 'key', 'value')]
            own[f'{mine}self_attn.in_proj_{kind}'] = torch.stack(parts, dim=1).flatten(0, 2)
            own[f'{mine}self_attn.out_proj.{kind}'] = checkpoint[f'{hub}attention.output.dense.{kind}']
            own[f'{mine}linear1.{kind}'] = checkpoint[f'{hub}intermediate.dense.{kind}']
            own[f'{mine}linear2.{kind}'] = checkpoint[f'{hub}output.dense.{kind}']
    for kind in ('weight', 'bias'):
        own[f'norm.{kind}'] = checkpoint[f'vit.layernorm.{kind}']
        own[f'head.{kind}'] = checkpoint[f'classifier.{kind}']
    checkpoint.copy_into(model, own)
    return model


@loading.wrong(
    'kernels transposed',
    "You exchange rows and columns of the kernels. Flatten them as they are: (C p p)."
)
def load_pretrained(model, state):
    checkpoint = Checkpoint(state)
    own = checkpoint.converted()
    e = 'vit.embeddings.'
    own['cls_token'], own['positions'] = (checkpoint[e + 'cls_token'], checkpoint[e + 'position_embeddings'])
    kernel = checkpoint[e + 'patch_embeddings.projection.weight']
    own['patch_embedding.projection.weight'] = kernel.transpose(2, 3).flatten(1)
    own['patch_embedding.projection.bias'] = checkpoint[e + 'patch_embeddings.projection.bias']
    for i in range(len(model.blocks)):
        hub, mine = (f'vit.encoder.layer.{i}.', f'blocks.{i}.')
        for kind in ('weight', 'bias'):
            own[f'{mine}norm1.{kind}'] = checkpoint[f'{hub}layernorm_before.{kind}']
            own[f'{mine}norm2.{kind}'] = checkpoint[f'{hub}layernorm_after.{kind}']
            own[f'{mine}self_attn.in_proj_{kind}'] = torch.cat([checkpoint[f'{hub}attention.attention.{part}.{kind}'] for part in ('query', 'key', 'value')])
            own[f'{mine}self_attn.out_proj.{kind}'] = checkpoint[f'{hub}attention.output.dense.{kind}']
            own[f'{mine}linear1.{kind}'] = checkpoint[f'{hub}intermediate.dense.{kind}']
            own[f'{mine}linear2.{kind}'] = checkpoint[f'{hub}output.dense.{kind}']
    for kind in ('weight', 'bias'):
        own[f'norm.{kind}'] = checkpoint[f'vit.layernorm.{kind}']
        own[f'head.{kind}'] = checkpoint[f'classifier.{kind}']
    checkpoint.copy_into(model, own)
    return model


@loading.right('line by line')
def load_pretrained(model, state):
    checkpoint = Checkpoint(state)
    own = checkpoint.converted()
    e = 'vit.embeddings.'
    own['cls_token'] = checkpoint[e + 'cls_token']
    own['positions'] = checkpoint[e + 'position_embeddings']
    own['patch_embedding.projection.weight'] = checkpoint[e + 'patch_embeddings.projection.weight'].flatten(1)
    own['patch_embedding.projection.bias'] = checkpoint[e + 'patch_embeddings.projection.bias']
    for i in range(len(model.blocks)):
        hub, mine = (f'vit.encoder.layer.{i}.', f'blocks.{i}.')
        for kind in ('weight', 'bias'):
            own[f'{mine}norm1.{kind}'] = checkpoint[f'{hub}layernorm_before.{kind}']
            own[f'{mine}norm2.{kind}'] = checkpoint[f'{hub}layernorm_after.{kind}']
            own[f'{mine}self_attn.in_proj_{kind}'] = torch.cat([checkpoint[f'{hub}attention.attention.{part}.{kind}'] for part in ('query', 'key', 'value')])
            own[f'{mine}self_attn.out_proj.{kind}'] = checkpoint[f'{hub}attention.output.dense.{kind}']
            own[f'{mine}linear1.{kind}'] = checkpoint[f'{hub}intermediate.dense.{kind}']
            own[f'{mine}linear2.{kind}'] = checkpoint[f'{hub}output.dense.{kind}']
    for kind in ('weight', 'bias'):
        own[f'norm.{kind}'] = checkpoint[f'vit.layernorm.{kind}']
        own[f'head.{kind}'] = checkpoint[f'classifier.{kind}']
    checkpoint.copy_into(model, own)
    return model


@loading.right('table of names')
def load_pretrained(model, state):
    checkpoint = Checkpoint(state)
    own = checkpoint.converted()
    names = {'patch_embedding.projection': 'vit.embeddings.patch_embeddings.projection', 'norm': 'vit.layernorm', 'head': 'classifier'}
    inside = {'norm1': 'layernorm_before', 'norm2': 'layernorm_after', 'self_attn.out_proj': 'attention.output.dense', 'linear1': 'intermediate.dense', 'linear2': 'output.dense'}
    for i, _ in enumerate(model.blocks):
        layer = f'vit.encoder.layer.{i}'
        names |= {f'blocks.{i}.{ours}': f'{layer}.{theirs}' for ours, theirs in inside.items()}
        for kind in ('weight', 'bias'):
            q, k, v = (checkpoint[f'{layer}.attention.attention.{part}.{kind}'] for part in ('query', 'key', 'value'))
            own[f'blocks.{i}.self_attn.in_proj_{kind}'] = torch.cat((q, k, v), dim=0)
    for ours, theirs in names.items():
        for kind in ('.weight', '.bias'):
            own[ours + kind] = checkpoint[theirs + kind]
    kernels = 'patch_embedding.projection.weight'
    own[kernels] = rearrange(own[kernels], 'd c p q -> d (c p q)')
    own['cls_token'] = checkpoint['vit.embeddings.cls_token']
    own['positions'] = checkpoint['vit.embeddings.position_embeddings']
    checkpoint.copy_into(model, own)
    return model


positions_bank.wrong(
    'reshaped to an image',
    'You reshape (1, N, D) straight to (1, D, h, w), which spreads the D numbers of one position over the grid. Reshape to (1, h, w, D) first, then move D forward.',
    edits={
        'rearrange(grid, "1 (h w) d -> 1 d h w", h=old_grid[0])': 'grid.reshape(1, -1, *old_grid)',
    },
)


positions_bank.wrong(
    'grids read as (columns, rows)',
    'You read the grids as (columns, rows). They are (rows, columns).',
    edits={
        'h=old_grid[0]': 'h=old_grid[1]',
        'size=new_grid': 'size=new_grid[::-1]',
    },
)
