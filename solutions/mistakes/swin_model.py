"""Wrong and alternative right answers: the whole Swin Transformer."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

model = Bank("SwinTransformer")

STAGES = (
    "for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):\n"
    "            window = min(window_size, height, width)\n"
    "            blocks = [\n"
    "                SwinBlock(dim, heads, window, shift_size=window // 2 if i % 2 else 0, mlp_ratio=mlp_ratio)\n"
    "                for i in range(depth)\n"
    "            ]\n"
    "            layer = nn.ModuleDict({\"blocks\": nn.Sequential(*blocks)})\n"
    "            if stage < len(depths) - 1:\n"
    "                layer[\"downsample\"] = PatchMerging(dim)\n"
    "                dim, height, width = 2 * dim, -(-height // 2), -(-width // 2)\n"
    "            self.layers.append(layer)"
)

model.wrong(
    "shift in every block",
    "All your blocks shift their windows, so within a stage nothing crosses the border of a shifted window. Blocks "
    "alternate: plain, then shifted.",
    edits={"window // 2 if i % 2 else 0": "window // 2"},
)

model.wrong(
    "never a shift",
    "None of your blocks shifts its windows, so nothing ever crosses a window's border within a stage. Every second block has "
    "shift_size = M // 2.",
    edits={"window // 2 if i % 2 else 0": "0"},
)

model.wrong(
    "shift in the first block",
    "Your blocks begin with a shifted one. The first of each stage is plain, the second shifted.",
    edits={"window // 2 if i % 2 else 0": "0 if i % 2 else window // 2"},
)

model.wrong(
    "shift by one",
    "Your shifted blocks move the windows by one pixel. Half a window, M // 2, lets a window's border fall in the middle of the "
    "next block's windows.",
    edits={"window // 2 if i % 2 else 0": "min(1, window - 1) if i % 2 else 0"},
)

model.wrong(
    "merging before the blocks",
    "You merge at the beginning of every stage but the first. Here, as in the authors' release, it closes every stage but the "
    "last, and the names of the parameters say so.",
    edits={
        "            window = min(window_size, height, width)\n": "            downsample = None\n            if stage > 0:\n                downsample = PatchMerging(dim)\n                dim, height, width = 2 * dim, -(-height // 2), -(-width // 2)\n            window = min(window_size, height, width)\n",
        '            if stage < len(depths) - 1:\n                layer["downsample"] = PatchMerging(dim)\n                dim, height, width = 2 * dim, -(-height // 2), -(-width // 2)\n': '            if downsample is not None:\n                layer["downsample"] = downsample\n',
    },
)

model.wrong(
    "merging in the last stage, too",
    "Your last stage ends with a merging as well. There are three mergings between four stages.",
    edits={"if stage < len(depths) - 1:": "if True:"},
)

model.wrong(
    "window larger than its map",
    "Your window keeps its size where the stage's map is smaller. There it should shrink to the map's shorter side.",
    edits={"min(window_size, height, width)": "window_size"},
)

model.wrong(
    "no norm of the patches",
    "You leave out the norm of the patch embedding.",
    edits={'        x = self.patch_embed["norm"](x)\n': ""},
)

model.wrong(
    "no final norm",
    "You leave out the final norm, behind the last stage.",
    edits={"return self.norm(x)": "return x"},
)

model.wrong(
    "norm after the mean",
    "You normalise after averaging. The final norm works on the map, token by token; the mean comes behind it.",
    edits={
        "return self.norm(x)": "return x",
        "self.head(self.features(images).mean(dim=(1, 2)))": "self.head(self.norm(self.features(images).mean(dim=(1, 2))))",
    },
)

model.wrong(
    "first token",
    "You classify the upper left token alone. Swin has no class token: the head works on the mean of all tokens.",
    edits={".mean(dim=(1, 2))": "[:, 0, 0]"},
)

model.wrong(
    "sum of the tokens",
    "You add up the tokens instead of averaging them, so the logits grow with the size of the image.",
    edits={".mean(dim=(1, 2))": ".sum(dim=(1, 2))"},
)

model.wrong(
    "window as high as the map at most",
    "Your window is no larger than the map's height, but it can be larger than its width. Take the shorter of the two sides.",
    edits={"min(window_size, height, width)": "min(window_size, height)"},
)


model.right(
    "tokens flattened for the mean",
    edits={".mean(dim=(1, 2))": ".flatten(1, 2).mean(dim=1)"},
)

model.right(
    "sizes by integer arithmetic, blocks one by one",
    edits={
        "dim, height, width = 2 * dim, -(-height // 2), -(-width // 2)": "dim, height, width = dim * 2, (height + 1) // 2, (width + 1) // 2",
        'x = layer["blocks"](x)\n': 'for block in layer["blocks"]:\n                x = block(x)\n',
    },
)

model.right(
    "shifts from a list, adaptive pooling",
    edits={
        "shift_size=window // 2 if i % 2 else 0": "shift_size=[0, window // 2][i % 2]",
        "self.features(images).mean(dim=(1, 2))": "F.adaptive_avg_pool2d(self.features(images).permute(0, 3, 1, 2), 1).flatten(1)",
    },
)

model.right(
    "stages given by index",
    edits={
        "for layer in self.layers:": "for number in range(len(self.layers)):\n            layer = self.layers[number]",
        'if "downsample" in layer:': "if number + 1 < len(self.layers):",
    },
)


model.wrong(
    "turns counted through the network",
    "You count plain and shifted blocks through the whole network. Every stage begins with a plain one.",
    edits={
        STAGES: "for number, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):\n"
        "            window = min(window_size, height, width)\n"
        "            blocks = [\n"
        "                SwinBlock(dim, heads, window, window // 2 if (i + sum(depths[:number])) % 2 else 0, mlp_ratio)\n"
        "                for i in range(depth)\n"
        "            ]\n"
        "            stage = nn.ModuleDict({\"blocks\": nn.Sequential(*blocks)})\n"
        "            if number < len(depths) - 1:\n"
        "                stage[\"downsample\"] = PatchMerging(dim)\n"
        "                dim, height, width = (2 * dim, -(-height // 2), -(-width // 2))\n"
        "            self.layers.append(stage)",
        "for layer in self.layers:\n"
        "            x = layer[\"blocks\"](x)\n"
        "            if \"downsample\" in layer:\n"
        "                x = layer[\"downsample\"](x)": "for stage in self.layers:\n"
        "            x = stage[\"blocks\"](x)\n"
        "            if \"downsample\" in stage:\n"
        "                x = stage[\"downsample\"](x)",
    },
)


model.wrong(
    "shift of the full window size",
    "Your shift is half of window_size. It should be half of the stage's own window, which may be smaller.",
    edits={
        STAGES: "for number, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):\n"
        "            window = min(window_size, height, width)\n"
        "            blocks = [\n"
        "                SwinBlock(dim, heads, window, min(window_size // 2, window - 1) if i % 2 else 0, mlp_ratio)\n"
        "                for i in range(depth)\n"
        "            ]\n"
        "            stage = nn.ModuleDict({\"blocks\": nn.Sequential(*blocks)})\n"
        "            if number < len(depths) - 1:\n"
        "                stage[\"downsample\"] = PatchMerging(dim)\n"
        "                dim, height, width = (2 * dim, -(-height // 2), -(-width // 2))\n"
        "            self.layers.append(stage)",
        "for layer in self.layers:\n"
        "            x = layer[\"blocks\"](x)\n"
        "            if \"downsample\" in layer:\n"
        "                x = layer[\"downsample\"](x)": "for stage in self.layers:\n"
        "            x = stage[\"blocks\"](x)\n"
        "            if \"downsample\" in stage:\n"
        "                x = stage[\"downsample\"](x)",
    },
)


model.wrong(
    "no shift where the window spans the map",
    "You set the shift to 0 where a window spans the map. The block does that itself, and larger images may come.",
    edits={
        STAGES: "for number, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):\n"
        "            window = min(window_size, height, width)\n"
        "            blocks = [\n"
        "                SwinBlock(\n"
        "                    dim, heads, window, window // 2 if i % 2 and min(height, width) > window else 0, mlp_ratio\n"
        "                )\n"
        "                for i in range(depth)\n"
        "            ]\n"
        "            stage = nn.ModuleDict({\"blocks\": nn.Sequential(*blocks)})\n"
        "            if number < len(depths) - 1:\n"
        "                stage[\"downsample\"] = PatchMerging(dim)\n"
        "                dim, height, width = (2 * dim, -(-height // 2), -(-width // 2))\n"
        "            self.layers.append(stage)",
        "for layer in self.layers:\n"
        "            x = layer[\"blocks\"](x)\n"
        "            if \"downsample\" in layer:\n"
        "                x = layer[\"downsample\"](x)": "for stage in self.layers:\n"
        "            x = stage[\"blocks\"](x)\n"
        "            if \"downsample\" in stage:\n"
        "                x = stage[\"downsample\"](x)",
    },
)


model.wrong(
    "pairs shared",
    "Blocks of a stage share their weights in yours: one and the same object stands in several places, as `[plain, "
    "shifted] * n` makes it. Build a new block for each.",
    edits={
        STAGES: "for number, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):\n"
        "            window = min(window_size, height, width)\n"
        "            pair = [SwinBlock(dim, heads, window, shift, mlp_ratio) for shift in (0, window // 2)]\n"
        "            stage = nn.ModuleDict({\"blocks\": nn.Sequential(*(pair * depth)[:depth])})\n"
        "            if number < len(depths) - 1:\n"
        "                stage[\"downsample\"] = PatchMerging(dim)\n"
        "                dim, height, width = (2 * dim, -(-height // 2), -(-width // 2))\n"
        "            self.layers.append(stage)",
        "for layer in self.layers:\n"
        "            x = layer[\"blocks\"](x)\n"
        "            if \"downsample\" in layer:\n"
        "                x = layer[\"downsample\"](x)": "for stage in self.layers:\n"
        "            x = stage[\"blocks\"](x)\n"
        "            if \"downsample\" in stage:\n"
        "                x = stage[\"downsample\"](x)",
    },
)


model.right(
    "all sizes first",
    edits={
        STAGES: """maps = [(height, width)]
        while len(maps) < len(depths):
            maps.append(tuple((side + 1) // 2 for side in maps[-1]))
        dims = [embed_dim << stage for stage in range(len(depths))]
        for dim, depth, heads, sides in zip(dims, depths, num_heads, maps):
            window = min(window_size, *sides)
            parts = {"blocks": nn.Sequential()}
            for i in range(depth):
                parts["blocks"].append(SwinBlock(dim, heads, window, i % 2 * (window // 2), mlp_ratio))
            if dim != dims[-1]:
                parts["downsample"] = PatchMerging(dim)
            self.layers.append(nn.ModuleDict(parts))""",
        'x = layer["blocks"](x)\n            if "downsample" in layer:\n                x = layer["downsample"](x)': "for part in layer.values():\n                x = part(x)",
    },
)


model.right(
    "helper",
    edits={
        STAGES: "def make_stage(dim, depth, heads, window, last):\n"
        "            stage = nn.ModuleDict()\n"
        "            stage[\"blocks\"] = nn.Sequential(\n"
        "                *(\n"
        "                    SwinBlock(\n"
        "                        dim, heads, window_size=window, shift_size=i % 2 * (window // 2), mlp_ratio=mlp_ratio\n"
        "                    )\n"
        "                    for i in range(depth)\n"
        "                )\n"
        "            )\n"
        "            if not last:\n"
        "                stage[\"downsample\"] = PatchMerging(dim)\n"
        "            return stage\n"
        "\n"
        "        for s in range(len(depths)):\n"
        "            if s:\n"
        "                dim, height, width = (dim * 2, (height + 1) // 2, (width + 1) // 2)\n"
        "            last = s == len(depths) - 1\n"
        "            window = min(window_size, min(height, width))\n"
        "            self.layers.append(make_stage(dim, depths[s], num_heads[s], window, last))",
        "for layer in self.layers:\n"
        "            x = layer[\"blocks\"](x)\n"
        "            if \"downsample\" in layer:\n"
        "                x = layer[\"downsample\"](x)": "for stage in self.layers:\n"
        "            for block in stage[\"blocks\"]:\n"
        "                x = block(x)\n"
        "            x = stage[\"downsample\"](x) if \"downsample\" in stage.keys() else x",
        "return self.head(self.features(images).mean(dim=(1, 2)))": "tokens = self.features(images).flatten(1, 2)\n"
        "        return self.head(tokens.mean(1))",
    },
)


model.wrong(
    'normalised again',
    'The mean of your tokens goes through the final norm a second time. The tokens have been normalised: the head reads their mean as it is.',
    edits={
        'self.head(self.features(images).mean(dim=(1, 2)))': 'self.head(self.norm(self.features(images).mean(dim=(1, 2))))',
    },
)


LOGITS = "self.head(self.features(images).mean(dim=(1, 2)))"

model.wrong(
    "final norm in forward",
    "Your logits are right, and `features` leaves out the final norm, which `forward` applies. It should return the map behind that norm.",
    edits={"return self.norm(x)": "return x", LOGITS: "self.head(self.norm(self.features(images)).mean(dim=(1, 2)))"},
)

model.wrong(
    "features averaged",
    "Your `features` returns the mean of the tokens. It should return the last map, (B, h, w, D), behind the final norm; `forward` takes the mean.",
    edits={"return self.norm(x)": "return self.norm(x).mean(dim=(1, 2))", LOGITS: "self.head(self.features(images))"},
)

model.wrong(
    "features as a sequence",
    "Your `features` returns a sequence of tokens. It should return the last map, (B, h, w, D): rows and columns are two axes.",
    edits={"return self.norm(x)": "return self.norm(x).flatten(1, 2)", LOGITS: "self.head(self.features(images).mean(dim=1))"},
)

model.wrong(
    "features with channels in front",
    "Your `features` returns (B, D, h, w). In this model channels stand last: (B, h, w, D).",
    edits={
        "return self.norm(x)": "return self.norm(x).permute(0, 3, 1, 2)",
        LOGITS: "self.head(self.features(images).mean(dim=(2, 3)))",
    },
)

model.wrong(
    "features turned",
    "Your `features` returns the map with height and width exchanged: (B, h, w, D), rows first.",
    edits={"return self.norm(x)": "return self.norm(x).transpose(1, 2)"},
)

model.wrong(
    "blocks in a module list",
    "The `blocks` of a stage should be an `nn.Sequential`, so that they can be called as a whole; an `nn.ModuleList` cannot.",
    edits={
        "nn.Sequential(*blocks)": "nn.ModuleList(blocks)",
        'x = layer["blocks"](x)\n': 'for block in layer["blocks"]:\n                x = block(x)\n',
    },
)
