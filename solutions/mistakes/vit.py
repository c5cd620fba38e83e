"""Wrong and alternative right answers: the Vision Transformer."""

from __future__ import annotations

import torch
from torch import nn

from utils.grading.bank import Bank

vit = Bank("ViT")

vit.wrong(
    "no final norm",
    "The final `norm` is not used. Pre-norm blocks leave their sum as it is, so one last norm is needed before the head.",
    edits={"return self.norm(tokens)": "return tokens"},
)

vit.wrong(
    "reads the last token",
    "You read the last token, which is a patch. The CLS token is the first.",
    edits={"tokens[:, 0]": "tokens[:, -1]"},
)

vit.wrong(
    "reads the first patch",
    "You read the token behind CLS, which is the first patch. CLS is at index 0.",
    edits={"tokens[:, 0]": "tokens[:, 1]"},
)

POOL = 'tokens[:, 0] if self.pool == "cls" else tokens.mean(dim=1)'

vit.wrong(
    "always CLS",
    'You read token 0 whatever `pool` says. With pool="mean" there is no CLS token: average all patches.',
    edits={POOL: "tokens[:, 0]"},
)

vit.wrong(
    "always the mean",
    'You average the tokens whatever `pool` says. With pool="cls" the head reads the CLS token alone.',
    edits={POOL: "tokens.mean(dim=1)"},
)

vit.wrong(
    "mean over the channels",
    "You average over the channels (the last axis). Pooling is over the tokens: axis 1.",
    edits={"tokens.mean(dim=1)": "tokens.mean(dim=-1)"},
)

vit.wrong(
    "maximum for the mean",
    'You take the maximum over the tokens; pool="mean" asks for the average.',
    edits={"tokens.mean(dim=1)": "tokens.amax(dim=1)"},
)

vit.wrong(
    "probabilities",
    "You return probabilities. The model returns logits: the loss does the softmax.",
    edits={"return self.head(pooled)": "return self.head(pooled).softmax(dim=-1)"},
)

vit.wrong(
    "only the first block",
    "Only the first block is run.",
    edits={"for block in self.blocks:": "for block in self.blocks[:1]:"},
)

vit.wrong(
    "blocks in reverse",
    "The blocks run in reverse order.",
    edits={"for block in self.blocks:": "for block in reversed(self.blocks):"},
)

LOOP = "for block in self.blocks:\n            tokens = block(tokens)"

vit.wrong(
    "each block reads the embedding",
    "Every block reads the embedded patches again, so only the last one counts. Each should read what the one before it gave.",
    edits={
        LOOP: "embedded = tokens\n        for block in self.blocks:\n            tokens = block(embedded)"
    },
)

vit.wrong(
    "a second residual around the blocks",
    "You add the input once more around every block. The residual connections are inside the blocks already.",
    edits={"tokens = block(tokens)": "tokens = tokens + block(tokens)"},
)

TOKENS = "self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))"

vit.wrong(
    "norm before the blocks as well",
    "You normalise the embedded tokens before the first block. ViT does so only at the end; each block has its own norms.",
    edits={TOKENS: f"self.norm({TOKENS})"},
)

vit.wrong(
    "dropout forgotten",
    "The embedded tokens go into the blocks without `dropout`.",
    edits={TOKENS: "add_cls_and_positions(tokens, self.cls_token, self.positions)"},
)

vit.wrong(
    "positions only for the patches of CLS models",
    "A model with mean pooling gets no positions in your version: it has no CLS token, but it needs to know where a patch was.",
    edits={
        TOKENS: "self.dropout(tokens if self.cls_token is None else add_cls_and_positions(tokens, self.cls_token, self.positions))"
    },
)

vit.right("nn.Sequential", edits={LOOP: "tokens = nn.Sequential(*self.blocks)(tokens)"})

vit.right(
    "pooling by einsum",
    edits={
        "tokens.mean(dim=1)": 'torch.einsum("bnd->bd", tokens) / tokens.shape[1]',
        "tokens[:, 0]": "tokens.unbind(1)[0]",
    },
)

vit.right(
    "CLS and positions by hand",
    edits={
        TOKENS: "tokens if self.cls_token is None else torch.cat([self.cls_token.repeat(len(tokens), 1, 1), tokens], 1)\n"
        "        tokens = F.dropout(tokens + self.positions, self.dropout.p, self.training)"
    },
)

vit.right(
    "an if in place of the expression",
    edits={
        f"pooled = {POOL}  # (B, D)\n        return self.head(pooled)": 'if self.pool == "mean":\n'
        "            return self.head(torch.mean(tokens, 1))\n"
        "        first, *_ = tokens.split(1, dim=1)\n        return self.head(first.squeeze(1))"
    },
)


@vit.wrong(
    'dropout before the positions',
    'Your dropout comes before CLS and positions are added. It acts on the embedded tokens, positions included.'
)
class ViT(nn.Module):
    WIDTHS = {'ti': (192, 12, 3), 's': (384, 12, 6), 'b': (768, 12, 12), 'l': (1024, 24, 16)}

    def __init__(self, image_size, patch_size, dim, depth, num_heads, mlp_ratio=4.0, num_classes=1000, pool='cls', *, in_channels=3, dropout=0.0, attention_dropout=0.0, drop_path=0.0, norm_eps=1e-06):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(f'patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels')
        if pool not in ('cls', 'mean'):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = ((height, width), in_channels, pool)
        self.grid = (height // patch_size, width // patch_size)
        tokens = self.grid[0] * self.grid[1] + (pool == 'cls')
        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == 'cls' else None
        self.positions = nn.Parameter(torch.zeros(1, tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps) for rate in depth_rates(drop_path, depth))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name, **changes: Any):
        known = {f'vit_{size}_{patch}': {'image_size': 224, 'patch_size': patch, 'dim': dim, 'depth': depth, 'num_heads': heads} for size, (dim, depth, heads) in cls.WIDTHS.items() for patch in (16, 32)}
        known['vit_cifar'] = {'image_size': 32, 'patch_size': 4, 'dim': 192, 'depth': 9, 'num_heads': 6, 'mlp_ratio': 2.0, 'num_classes': 10}
        if name not in known:
            raise ValueError(f"no ViT is called {name!r}; there are {', '.join(known)}")
        return cls(**known[name] | changes)

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images):
        if not images.is_floating_point():
            raise TypeError(f'ViT reads normalised floating-point images, got {images.dtype}: divide by 255 first')
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(f"this ViT reads images of shape (B, C, H, W) = (B, {', '.join(map(str, expected))}) with B > 0, got {tuple(images.shape)}")

    def encode(self, images):
        self.check_images(images)
        x = self.dropout(self.patch_embedding(images))
        x = add_cls_and_positions(x, self.cls_token, self.positions)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, images):
        tokens = self.encode(images)
        pooled = tokens[:, 0] if self.pool == 'cls' else tokens.mean(dim=1)
        return self.head(pooled)

    @torch.no_grad()
    def attention_maps(self, images):
        maps: list[Tensor] = []
        hooks = [block.self_attn.register_forward_pre_hook(lambda module, args: maps.append(module.weights(args[0]))) for block in self.blocks]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(maps)


@vit.wrong(
    'first patch left out',
    'Your mean leaves token 0 out. A model that takes the mean has no class token: token 0 is a patch.'
)
class ViT(nn.Module):
    WIDTHS = {'ti': (192, 12, 3), 's': (384, 12, 6), 'b': (768, 12, 12), 'l': (1024, 24, 16)}

    def __init__(self, image_size, patch_size, dim, depth, num_heads, mlp_ratio=4.0, num_classes=1000, pool='cls', *, in_channels=3, dropout=0.0, attention_dropout=0.0, drop_path=0.0, norm_eps=1e-06):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(f'patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels')
        if pool not in ('cls', 'mean'):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = ((height, width), in_channels, pool)
        self.grid = (height // patch_size, width // patch_size)
        tokens = self.grid[0] * self.grid[1] + (pool == 'cls')
        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == 'cls' else None
        self.positions = nn.Parameter(torch.zeros(1, tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps) for rate in depth_rates(drop_path, depth))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name, **changes: Any):
        known = {f'vit_{size}_{patch}': {'image_size': 224, 'patch_size': patch, 'dim': dim, 'depth': depth, 'num_heads': heads} for size, (dim, depth, heads) in cls.WIDTHS.items() for patch in (16, 32)}
        known['vit_cifar'] = {'image_size': 32, 'patch_size': 4, 'dim': 192, 'depth': 9, 'num_heads': 6, 'mlp_ratio': 2.0, 'num_classes': 10}
        if name not in known:
            raise ValueError(f"no ViT is called {name!r}; there are {', '.join(known)}")
        return cls(**known[name] | changes)

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images):
        if not images.is_floating_point():
            raise TypeError(f'ViT reads normalised floating-point images, got {images.dtype}: divide by 255 first')
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(f"this ViT reads images of shape (B, C, H, W) = (B, {', '.join(map(str, expected))}) with B > 0, got {tuple(images.shape)}")

    def encode(self, images):
        self.check_images(images)
        x = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, images):
        tokens = self.encode(images)
        return self.head(tokens[:, 0] if self.pool == 'cls' else tokens[:, 1:].mean(dim=1))

    @torch.no_grad()
    def attention_maps(self, images):
        maps: list[Tensor] = []
        hooks = [block.self_attn.register_forward_pre_hook(lambda module, args: maps.append(module.weights(args[0]))) for block in self.blocks]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(maps)


@vit.wrong(
    'norm twice',
    'You normalise the pooled vector once more. `encode` ends with the norm already.'
)
class ViT(nn.Module):
    WIDTHS = {'ti': (192, 12, 3), 's': (384, 12, 6), 'b': (768, 12, 12), 'l': (1024, 24, 16)}

    def __init__(self, image_size, patch_size, dim, depth, num_heads, mlp_ratio=4.0, num_classes=1000, pool='cls', *, in_channels=3, dropout=0.0, attention_dropout=0.0, drop_path=0.0, norm_eps=1e-06):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(f'patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels')
        if pool not in ('cls', 'mean'):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = ((height, width), in_channels, pool)
        self.grid = (height // patch_size, width // patch_size)
        tokens = self.grid[0] * self.grid[1] + (pool == 'cls')
        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == 'cls' else None
        self.positions = nn.Parameter(torch.zeros(1, tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps) for rate in depth_rates(drop_path, depth))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name, **changes: Any):
        known = {f'vit_{size}_{patch}': {'image_size': 224, 'patch_size': patch, 'dim': dim, 'depth': depth, 'num_heads': heads} for size, (dim, depth, heads) in cls.WIDTHS.items() for patch in (16, 32)}
        known['vit_cifar'] = {'image_size': 32, 'patch_size': 4, 'dim': 192, 'depth': 9, 'num_heads': 6, 'mlp_ratio': 2.0, 'num_classes': 10}
        if name not in known:
            raise ValueError(f"no ViT is called {name!r}; there are {', '.join(known)}")
        return cls(**known[name] | changes)

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images):
        if not images.is_floating_point():
            raise TypeError(f'ViT reads normalised floating-point images, got {images.dtype}: divide by 255 first')
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(f"this ViT reads images of shape (B, C, H, W) = (B, {', '.join(map(str, expected))}) with B > 0, got {tuple(images.shape)}")

    def encode(self, images):
        self.check_images(images)
        x = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, images):
        tokens = self.encode(images)
        pooled = tokens[:, 0] if self.pool == 'cls' else tokens.mean(dim=1)
        return self.head(self.norm(pooled))

    @torch.no_grad()
    def attention_maps(self, images):
        maps: list[Tensor] = []
        hooks = [block.self_attn.register_forward_pre_hook(lambda module, args: maps.append(module.weights(args[0]))) for block in self.blocks]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(maps)


@vit.wrong(
    'norm before the blocks',
    'Your norm comes before the blocks. It belongs behind the last one.'
)
class ViT(nn.Module):
    WIDTHS = {'ti': (192, 12, 3), 's': (384, 12, 6), 'b': (768, 12, 12), 'l': (1024, 24, 16)}

    def __init__(self, image_size, patch_size, dim, depth, num_heads, mlp_ratio=4.0, num_classes=1000, pool='cls', *, in_channels=3, dropout=0.0, attention_dropout=0.0, drop_path=0.0, norm_eps=1e-06):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(f'patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels')
        if pool not in ('cls', 'mean'):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = ((height, width), in_channels, pool)
        self.grid = (height // patch_size, width // patch_size)
        tokens = self.grid[0] * self.grid[1] + (pool == 'cls')
        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == 'cls' else None
        self.positions = nn.Parameter(torch.zeros(1, tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps) for rate in depth_rates(drop_path, depth))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name, **changes: Any):
        known = {f'vit_{size}_{patch}': {'image_size': 224, 'patch_size': patch, 'dim': dim, 'depth': depth, 'num_heads': heads} for size, (dim, depth, heads) in cls.WIDTHS.items() for patch in (16, 32)}
        known['vit_cifar'] = {'image_size': 32, 'patch_size': 4, 'dim': 192, 'depth': 9, 'num_heads': 6, 'mlp_ratio': 2.0, 'num_classes': 10}
        if name not in known:
            raise ValueError(f"no ViT is called {name!r}; there are {', '.join(known)}")
        return cls(**known[name] | changes)

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images):
        if not images.is_floating_point():
            raise TypeError(f'ViT reads normalised floating-point images, got {images.dtype}: divide by 255 first')
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(f"this ViT reads images of shape (B, C, H, W) = (B, {', '.join(map(str, expected))}) with B > 0, got {tuple(images.shape)}")

    def encode(self, images):
        self.check_images(images)
        x = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)
        x = self.norm(self.dropout(x))
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, images):
        tokens = self.encode(images)
        pooled = tokens[:, 0] if self.pool == 'cls' else tokens.mean(dim=1)
        return self.head(pooled)

    @torch.no_grad()
    def attention_maps(self, images):
        maps: list[Tensor] = []
        hooks = [block.self_attn.register_forward_pre_hook(lambda module, args: maps.append(module.weights(args[0]))) for block in self.blocks]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(maps)


@vit.wrong(
    'dropout twice',
    'You drop the pooled vector as well. Dropout acts on the embedded tokens, and in every block.'
)
class ViT(nn.Module):
    WIDTHS = {'ti': (192, 12, 3), 's': (384, 12, 6), 'b': (768, 12, 12), 'l': (1024, 24, 16)}

    def __init__(self, image_size, patch_size, dim, depth, num_heads, mlp_ratio=4.0, num_classes=1000, pool='cls', *, in_channels=3, dropout=0.0, attention_dropout=0.0, drop_path=0.0, norm_eps=1e-06):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(f'patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels')
        if pool not in ('cls', 'mean'):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = ((height, width), in_channels, pool)
        self.grid = (height // patch_size, width // patch_size)
        tokens = self.grid[0] * self.grid[1] + (pool == 'cls')
        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == 'cls' else None
        self.positions = nn.Parameter(torch.zeros(1, tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps) for rate in depth_rates(drop_path, depth))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name, **changes: Any):
        known = {f'vit_{size}_{patch}': {'image_size': 224, 'patch_size': patch, 'dim': dim, 'depth': depth, 'num_heads': heads} for size, (dim, depth, heads) in cls.WIDTHS.items() for patch in (16, 32)}
        known['vit_cifar'] = {'image_size': 32, 'patch_size': 4, 'dim': 192, 'depth': 9, 'num_heads': 6, 'mlp_ratio': 2.0, 'num_classes': 10}
        if name not in known:
            raise ValueError(f"no ViT is called {name!r}; there are {', '.join(known)}")
        return cls(**known[name] | changes)

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images):
        if not images.is_floating_point():
            raise TypeError(f'ViT reads normalised floating-point images, got {images.dtype}: divide by 255 first')
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(f"this ViT reads images of shape (B, C, H, W) = (B, {', '.join(map(str, expected))}) with B > 0, got {tuple(images.shape)}")

    def encode(self, images):
        self.check_images(images)
        x = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, images):
        tokens = self.encode(images)
        pooled = tokens[:, 0] if self.pool == 'cls' else tokens.mean(dim=1)
        return self.head(self.dropout(pooled))

    @torch.no_grad()
    def attention_maps(self, images):
        maps: list[Tensor] = []
        hooks = [block.self_attn.register_forward_pre_hook(lambda module, args: maps.append(module.weights(args[0]))) for block in self.blocks]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(maps)


@vit.right('straight')
class ViT(nn.Module):
    WIDTHS = {'ti': (192, 12, 3), 's': (384, 12, 6), 'b': (768, 12, 12), 'l': (1024, 24, 16)}

    def __init__(self, image_size, patch_size, dim, depth, num_heads, mlp_ratio=4.0, num_classes=1000, pool='cls', *, in_channels=3, dropout=0.0, attention_dropout=0.0, drop_path=0.0, norm_eps=1e-06):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(f'patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels')
        if pool not in ('cls', 'mean'):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = ((height, width), in_channels, pool)
        self.grid = (height // patch_size, width // patch_size)
        tokens = self.grid[0] * self.grid[1] + (pool == 'cls')
        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == 'cls' else None
        self.positions = nn.Parameter(torch.zeros(1, tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps) for rate in depth_rates(drop_path, depth))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name, **changes: Any):
        known = {f'vit_{size}_{patch}': {'image_size': 224, 'patch_size': patch, 'dim': dim, 'depth': depth, 'num_heads': heads} for size, (dim, depth, heads) in cls.WIDTHS.items() for patch in (16, 32)}
        known['vit_cifar'] = {'image_size': 32, 'patch_size': 4, 'dim': 192, 'depth': 9, 'num_heads': 6, 'mlp_ratio': 2.0, 'num_classes': 10}
        if name not in known:
            raise ValueError(f"no ViT is called {name!r}; there are {', '.join(known)}")
        return cls(**known[name] | changes)

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images):
        if not images.is_floating_point():
            raise TypeError(f'ViT reads normalised floating-point images, got {images.dtype}: divide by 255 first')
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(f"this ViT reads images of shape (B, C, H, W) = (B, {', '.join(map(str, expected))}) with B > 0, got {tuple(images.shape)}")

    def encode(self, images):
        self.check_images(images)
        x = self.patch_embedding(images)
        x = self.dropout(add_cls_and_positions(x, self.cls_token, self.positions))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, images):
        x = self.encode(images)
        if self.pool == 'cls':
            x = x[:, 0]
        else:
            x = x.mean(dim=1)
        return self.head(x)

    @torch.no_grad()
    def attention_maps(self, images):
        maps: list[Tensor] = []
        hooks = [block.self_attn.register_forward_pre_hook(lambda module, args: maps.append(module.weights(args[0]))) for block in self.blocks]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(maps)


@vit.right('by hand')
class ViT(nn.Module):
    WIDTHS = {'ti': (192, 12, 3), 's': (384, 12, 6), 'b': (768, 12, 12), 'l': (1024, 24, 16)}

    def __init__(self, image_size, patch_size, dim, depth, num_heads, mlp_ratio=4.0, num_classes=1000, pool='cls', *, in_channels=3, dropout=0.0, attention_dropout=0.0, drop_path=0.0, norm_eps=1e-06):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(f'patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels')
        if pool not in ('cls', 'mean'):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = ((height, width), in_channels, pool)
        self.grid = (height // patch_size, width // patch_size)
        tokens = self.grid[0] * self.grid[1] + (pool == 'cls')
        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == 'cls' else None
        self.positions = nn.Parameter(torch.zeros(1, tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps) for rate in depth_rates(drop_path, depth))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name, **changes: Any):
        known = {f'vit_{size}_{patch}': {'image_size': 224, 'patch_size': patch, 'dim': dim, 'depth': depth, 'num_heads': heads} for size, (dim, depth, heads) in cls.WIDTHS.items() for patch in (16, 32)}
        known['vit_cifar'] = {'image_size': 32, 'patch_size': 4, 'dim': 192, 'depth': 9, 'num_heads': 6, 'mlp_ratio': 2.0, 'num_classes': 10}
        if name not in known:
            raise ValueError(f"no ViT is called {name!r}; there are {', '.join(known)}")
        return cls(**known[name] | changes)

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images):
        if not images.is_floating_point():
            raise TypeError(f'ViT reads normalised floating-point images, got {images.dtype}: divide by 255 first')
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(f"this ViT reads images of shape (B, C, H, W) = (B, {', '.join(map(str, expected))}) with B > 0, got {tuple(images.shape)}")

    def encode(self, images):
        self.check_images(images)
        from functools import reduce
        x = self.patch_embedding(images)
        if self.pool == 'cls':
            x = torch.cat([self.cls_token.repeat(x.shape[0], 1, 1), x], 1)
        x = F.dropout(x + self.positions, self.dropout.p, training=self.training)
        return self.norm(reduce(lambda tokens, block: block(tokens), self.blocks, x))

    def forward(self, images):
        pools = {'cls': lambda t: t.select(1, 0), 'mean': lambda t: t.sum(1) / t.shape[1]}
        return self.head(pools[self.pool](self.encode(images)))

    @torch.no_grad()
    def attention_maps(self, images):
        maps: list[Tensor] = []
        hooks = [block.self_attn.register_forward_pre_hook(lambda module, args: maps.append(module.weights(args[0]))) for block in self.blocks]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(maps)


