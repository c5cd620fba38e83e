"""Stand-ins: a small residual network."""

from __future__ import annotations

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Residual block of He et al. (2016): (B, in_channels, H, W) -> (B, channels, H / stride, W / stride)."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        projection = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
        )
        self.downsample = projection if stride > 1 or in_channels != channels else None

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (residual + (self.downsample or nn.Identity())(x)).relu()


class ResNet(nn.Module):
    """ResNet for small images: (B, in_channels, H, W) -> (B, num_classes)."""

    def __init__(
        self,
        width: int = 32,
        num_classes: int = 10,
        blocks: tuple[int, ...] = (2, 2, 2, 2),
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages: list[str] = []
        for s, depth in enumerate(blocks):
            first = BasicBlock(width * 2 ** max(s - 1, 0), width * 2**s, 2 if s else 1)
            rest = [BasicBlock(width * 2**s, width * 2**s) for _ in range(depth - 1)]
            self.stages.append(f"layer{s + 1}")
            self.add_module(self.stages[-1], nn.Sequential(first, *rest))
        self.fc = nn.Linear(width * 2 ** (len(blocks) - 1), num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> the last stage's map."""
        body = [self.get_submodule(name) for name in self.stages]
        return nn.Sequential(self.conv1, self.bn1, nn.ReLU(), *body)(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).flatten(2).mean(-1))
