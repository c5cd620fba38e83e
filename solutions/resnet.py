"""A small residual network for small images: the convolutional counterpart of the small ViT.

The layer pattern of ResNet-18 with the stem that He et al. use for CIFAR (one 3 x 3 convolution, stride 1, no pooling), so that
a 32 x 32 image is still a 4 x 4 map before the pooling. Parameters are named as in torchvision's and timm's `ResNet`: their weights
load as they are where the stem has the same size (`tests/test_parity_resnet.py`).

1. Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun. "Deep Residual Learning for Image Recognition". CVPR 2016.
   https://arxiv.org/abs/1512.03385 (figure 5, left, for the block; section 4.2 for the stem on CIFAR)
2. Sergey Ioffe, Christian Szegedy. "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
   Shift". ICML 2015. https://arxiv.org/abs/1502.03167
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, and a shortcut around both.

    relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)). The shortcut is x itself where shapes
    allow; where the stride or the channels change, it is a 1 x 1 convolution with that stride,
    followed by batch norm.

    Parameters: conv1, bn1, conv2, bn2, and `downsample` for the shortcut (None, or a sequence
    of convolution and batch norm). The convolutions have no bias: the batch norm behind each
    would subtract it again.

    Args:
        in_channels: channels of the input.
        channels: channels of the output.
        stride: of the first convolution and of the shortcut; 2 halves height and width.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        ### BEGIN SOLUTION
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, channels, ceil(H / stride), ceil(W / stride))."""
        ### BEGIN SOLUTION
        shortcut = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)))  # (B, channels, H / stride, W / stride)
        out = self.bn2(self.conv2(out))
        return F.relu(out + shortcut)
        ### END SOLUTION


class ResNet(nn.Module):
    """ResNet of basic blocks for small images: stem, stages called `layer1`, `layer2`, ...,
    mean over the map, linear head `fc`.

    Stage s (from 0) has width * 2**s channels. The first block of every stage but the first has
    stride 2.

    Args:
        width: channels of the stem and of the first stage; 64 is ResNet-18's, 32 has 2.80M
            parameters and 0.139 GMAC at 32 x 32.
        num_classes: number of classes; 0 leaves the head out, and `forward` returns the pooled
            features.
        blocks: basic blocks per stage; (2, 2, 2, 2) is ResNet-18.
        in_channels: channels of the images.
    """

    def __init__(
        self,
        width: int = 32,
        num_classes: int = 10,
        blocks: tuple[int, ...] = (2, 2, 2, 2),
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = [
            f"layer{s + 1}" for s in range(len(blocks))
        ]  # names of the stages, in order
        channels = width
        for s, (name, depth) in enumerate(zip(self.stages, blocks, strict=True)):
            wide = width * 2**s
            ### BEGIN SOLUTION
            stage = nn.Sequential()
            for i in range(depth):
                stride = 2 if s > 0 and i == 0 else 1
                stage.append(BasicBlock(channels, wide, stride))
                channels = wide
            ### END SOLUTION
            self.add_module(name, stage)
        self.fc = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He et al. (2015): normal weights that keep the variance of the gradients through
        ReLU."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> the last stage's map, (B, 8 * width, H / 8, W / 8) for four
        stages."""
        ### BEGIN SOLUTION
        x = F.relu(self.bn1(self.conv1(images)))  # (B, width, H, W)
        for name in self.stages:
            x = getattr(self, name)(x)  # halved from the second stage on
        return x
        ### END SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes) logits."""
        ### BEGIN SOLUTION
        pooled = self.features(images).mean(dim=(2, 3))  # (B, C', H', W') -> (B, C')
        return self.fc(pooled)
        ### END SOLUTION
