"""A small residual network for small images, the convolutional counterpart of the small ViT.

1. Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun. "Deep Residual Learning for Image Recognition". CVPR 2016.
   https://arxiv.org/abs/1512.03385
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, and a shortcut around them.

    Parameters are named as torchvision's and timm's `BasicBlock`: conv1, bn1, conv2, bn2, downsample.0, downsample.1.

    Args:
        in_channels: channels of the input.
        channels: channels of the output.
        stride: 2 halves height and width.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None  # the shortcut is the identity where the shapes allow it
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, channels, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + shortcut)


class ResNet(nn.Module):
    """ResNet of basic blocks with the stem for small images: one 3 x 3 convolution, no pooling.

    Args:
        depths: blocks per stage; (2, 2, 2, 2) is ResNet-18.
        width: channels of the first stage, doubled in each further one; 64 is ResNet-18's, 32 has 2.80M parameters.
        num_classes: number of classes; 0 leaves the head out.
        in_channels: channels of the image.
    """

    def __init__(
        self,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        width: int = 32,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages, channels = [], width
        for stage, depth in enumerate(depths):
            wide = width * 2**stage
            blocks = [BasicBlock(channels, wide, 2 if stage else 1)]
            blocks += [BasicBlock(wide, wide) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            channels = wide
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes)."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.stages(x)  # (B, 8 * width, H / 8, W / 8)
        return self.head(x.mean(dim=(2, 3)))
