"""Wrong and alternative right answers: a small residual network."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

block = Bank("BasicBlock")

SUM = "return F.relu(out + shortcut)"

block.wrong(
    "no shortcut",
    "The shortcut is never added: without it this is a plain stack of convolutions.",
    edits={SUM: "return F.relu(out)"},
)

block.wrong(
    "no ReLU at the end",
    "The last ReLU is missing: it comes after the addition.",
    edits={SUM: "return out + shortcut"},
)

block.wrong(
    "ReLU before the addition",
    "Your second ReLU comes before the addition. It comes after: the sum of residual and shortcut goes through it.",
    edits={SUM: "return F.relu(out) + shortcut"},
)

block.wrong(
    "ReLU before and after the addition",
    "You have a ReLU too many: the residual must be able to take something away from the shortcut, so none stands between bn2 and the sum.",
    edits={SUM: "return F.relu(F.relu(out) + shortcut)"},
)

FIRST = "F.relu(self.bn1(self.conv1(x)))  # (B, channels, H / stride, W / stride)"

block.wrong(
    "no ReLU between the convolutions",
    "There is no ReLU between the two convolutions, so together they are one linear map.",
    edits={FIRST: "self.bn1(self.conv1(x))"},
)

block.wrong(
    "norm after ReLU",
    "In the first half you apply ReLU and then the norm. The order is convolution, norm, ReLU.",
    edits={FIRST: "self.bn1(F.relu(self.conv1(x)))"},
)

block.wrong(
    "first norm forgotten",
    "`bn1` is never used.",
    edits={FIRST: "F.relu(self.conv1(x))"},
)

SECOND = "out = self.bn2(self.conv2(out))"

block.wrong(
    "second norm forgotten",
    "`bn2` is never used.",
    edits={SECOND: "out = self.conv2(out)"},
)

block.wrong(
    "first norm used twice",
    "You use `bn1` behind both convolutions. Each has a norm of its own, with its own statistics.",
    edits={SECOND: "out = self.bn1(self.conv2(out))"},
)

block.wrong(
    "second norm after the addition",
    "You normalise the sum. `bn2` belongs to the residual: it comes before the shortcut is added.",
    edits={SECOND: "out = self.conv2(out)", SUM: "return F.relu(self.bn2(out + shortcut))"},
)

block.wrong(
    "ReLU on the shortcut",
    "Your shortcut goes through a ReLU of its own. It should carry its input on unchanged, or only projected.",
    edits={SUM: "return F.relu(out + F.relu(shortcut))"},
)

block.wrong(
    "shortcut from the middle",
    "Your shortcut starts behind the first convolution. It leads around both: it starts at the input of the block.",
    edits={SUM: "return F.relu(out + F.relu(self.bn1(self.conv1(x))))"},
)

block.wrong(
    "projection without norm",
    "Your projection has no batch norm behind its 1 x 1 convolution.",
    edits={", nn.BatchNorm2d(channels)\n            )": "\n            )"},
)

block.wrong(
    "projection with a bias",
    "Your projection's convolution has a bias. None of this block's has one: the batch norm behind it would subtract it again.",
    edits={
        "nn.Conv2d(in_channels, channels, 1, stride, bias=False)": "nn.Conv2d(in_channels, channels, 1, stride)"
    },
)

block.wrong(
    "a 3 x 3 projection",
    "Your projection is a 3 x 3 convolution. One of 1 x 1 is enough to change the channels, and has nine times fewer weights.",
    edits={
        "nn.Conv2d(in_channels, channels, 1, stride, bias=False)": "nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)"
    },
)

block.wrong(
    "projection everywhere",
    "You project in every block. Where stride and channels stay as they are, the shortcut is the input itself and has no weights.",
    edits={"        if stride != 1 or in_channels != channels:\n": "        if True:\n"},
)

block.wrong(
    "projection for the stride alone",
    "You project only where the stride changes. A block with more channels out than in needs it just as well: the shapes differ.",
    edits={"if stride != 1 or in_channels != channels": "if stride != 1"},
)

block.wrong(
    "projection for the channels alone",
    "You project only where the channels change. A block with stride 2 needs it just as well: the maps have different sizes.",
    edits={"if stride != 1 or in_channels != channels": "if in_channels != channels"},
)

block.wrong(
    "shortcut detached",
    "Your shortcut is cut from the graph (detach or .data). It is there so that gradients pass around the convolutions.",
    edits={SUM: "return F.relu(out + shortcut.detach())"},
)

block.right(
    "nn.Sequential for the residual",
    edits={
        "        shortcut = x if": "        residual = nn.Sequential(self.conv1, self.bn1, nn.ReLU(), self.conv2, self.bn2)\n        shortcut = x if",
        "        out = " + FIRST + "\n": "",
        "        " + SECOND + "\n": "",
        SUM: "return (residual(x) + shortcut).relu()",
    },
)

CHOSEN = "shortcut = x if self.downsample is None else self.downsample(x)"

block.right(
    "two ways out",
    edits={
        "        " + CHOSEN + "\n": "",
        SUM: "if self.downsample is not None:\n            return torch.relu(out + self.downsample(x))\n        return torch.relu(out + x)",
        "        out = " + FIRST: "        import torch\n\n        out = " + FIRST,
    },
)

SHORTCUT = """        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
"""

block.right(
    "in-place sum and ReLU, layers added by name",
    edits={
        SHORTCUT: "        if (stride, in_channels) != (1, channels):\n            self.downsample = nn.Sequential()\n            self.downsample.append(nn.Conv2d(in_channels, channels, kernel_size=1, stride=stride, bias=False))\n            self.downsample.append(nn.BatchNorm2d(channels))\n",
        SUM: "out += shortcut\n        return F.relu_(out)",
    },
)

block.right(
    "convolutions and norms called as functions",
    edits={
        "F.relu(self.bn1(self.conv1(x)))": "F.relu(self.bn1(F.conv2d(x, self.conv1.weight, None, self.conv1.stride, 1)))",
        SECOND: "out = self.bn2(F.conv2d(F.pad(out, (1, 1, 1, 1)), self.conv2.weight))",
        SUM: "return (out + shortcut).clamp(min=0)",
    },
)


block.wrong(
    'shortcut from relu(x)',
    "You apply ReLU to the block's input, so that the convolutions and the shortcut both read relu(x). They should "
    "read x as it is.",
    edits={
        "shortcut = x if self.downsample is None else self.downsample(x)": "x = F.relu(x)\n"
        "        shortcut = x if self.downsample is None else self.downsample(x)",
        "out = self.bn2(self.conv2(out))\n"
        "        return F.relu(out + shortcut)": "return F.relu(self.bn2(self.conv2(out)) + shortcut)",
    },
)


block.wrong(
    'batch statistics in eval',
    "Your batch norm uses the batch's statistics in evaluation mode, too. `nn.BatchNorm2d` called as a module follows the mode.",
    edits={
        "shortcut = x if self.downsample is None else self.downsample(x)": "def norm(bn, y):\n"
        "            return F.batch_norm(y, None, None, bn.weight, bn.bias, training=True, eps=bn.eps)\n"
        "        shortcut = x if self.downsample is None else self.downsample(x)",
        "out = F.relu(self.bn1(self.conv1(x)))  # (B, channels, H / stride, W / stride)\n"
        "        out = self.bn2(self.conv2(out))\n"
        "        return F.relu(out + shortcut)": "out = F.relu(norm(self.bn1, self.conv1(x)))\n"
        "        return F.relu(norm(self.bn2, self.conv2(out)) + shortcut)",
    },
)


@block.right("a loop over convolutions and norms")
class BasicBlock(nn.Module):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if not (stride == 1 and in_channels == channels):
            projection = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(*[projection, nn.BatchNorm2d(channels)])

    def forward(self, x):
        sums = [x if self.downsample is None else self.downsample(x)]
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2)):
            x = norm(conv(x if conv is self.conv1 else F.relu(x)))
        return F.relu(sum(sums, x))


@block.right('torchvision style')
class BasicBlock(nn.Module):

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        changes = stride > 1 or in_channels != channels
        if changes:
            layers = [nn.Conv2d(in_channels, channels, kernel_size=1, stride=stride, bias=False)]
            layers.append(nn.BatchNorm2d(channels))
            self.downsample = nn.Sequential(*layers)

    def forward(self, x):
        identity = x
        out = self.conv1(x)
        out = self.bn1(out)
        out = out.relu()
        out = self.conv2(out)
        out = self.bn2(out)
        if self.downsample is not None:
            identity = self.downsample(x)
        out = out + identity
        return out.relu_()


resnet = Bank("ResNet")

STRIDE = "stride = 2 if s > 0 and i == 0 else 1"

resnet.wrong(
    "stride in the first stage too",
    "Your first stage halves the map, too. It keeps the size of the stem's: strides begin with the second stage.",
    edits={STRIDE: "stride = 2 if i == 0 else 1"},
)

resnet.wrong(
    "no stride",
    "No block of yours has a stride, so the map never gets smaller (and the cost grows fourfold with each stage).",
    edits={STRIDE: "stride = 1"},
)

resnet.wrong(
    "stride in every block",
    "Every block from the second stage on has stride 2 in yours. Only the first of a stage has; the others keep the size.",
    edits={STRIDE: "stride = 2 if s > 0 else 1"},
)

resnet.wrong(
    "one block too few",
    "Your stages have a block less than `blocks` says.",
    edits={"for i in range(depth)": "for i in range(max(depth - 1, 1))"},
)

resnet.wrong(
    "channels not carried on",
    "All blocks of a stage are built for the channels of the stage before. Only the first one gets these: after it "
    "the input has `wide` channels.",
    edits={
        "                channels = wide\n": "",
        "            self.add_module": "            channels = wide\n            self.add_module",
    },
)

STEM = "F.relu(self.bn1(self.conv1(images)))  # (B, width, H, W)"

resnet.wrong(
    "stem without ReLU",
    "There is no ReLU behind the stem's norm.",
    edits={STEM: "self.bn1(self.conv1(images))"},
)

resnet.wrong(
    "stem without norm",
    "The stem's norm, `bn1`, is never used.",
    edits={STEM: "F.relu(self.conv1(images))"},
)

resnet.wrong(
    "max pooling behind the stem",
    "You pool behind the stem, as ResNet does on images of 224 pixels. On small images there is nothing to spare: no pooling here.",
    edits={STEM: "F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, 2, 1)"},
)

resnet.wrong(
    "ReLU after every stage, once more with the norm",
    "You run the stem's norm again after the stages. It is used once, behind the first convolution.",
    edits={
        "        return x\n": "        return self.bn1(x) if x.shape[1] == self.bn1.num_features else x\n"
    },
)

resnet.wrong(
    "the last stage left out",
    "Your last stage is never run.",
    edits={"for name in self.stages:\n": "for name in self.stages[:-1]:\n"},
)

POOLED = "self.features(images).mean(dim=(2, 3))"

resnet.wrong(
    "maximum in place of the mean",
    "You take the largest value of each channel over the map. The exercise asks for the mean.",
    edits={POOLED: "self.features(images).amax(dim=(2, 3))"},
)

resnet.wrong(
    "sum in place of the mean",
    "You sum over the map. Take the mean, so that the logits do not grow with the size of the image.",
    edits={POOLED: "self.features(images).sum(dim=(2, 3))"},
)

resnet.wrong(
    "one position in place of the mean",
    "You read one position of the map. Take the mean over all of them.",
    edits={POOLED: "self.features(images)[:, :, 0, 0]"},
)

resnet.wrong(
    "softmax at the end",
    "Your output is a softmax. Return logits: the loss applies the softmax itself.",
    edits={"return self.fc(pooled)": "return self.fc(pooled).softmax(-1)"},
)

resnet.wrong(
    "head never applied",
    "You return the pooled features: the head `fc` is never applied.",
    edits={"return self.fc(pooled)": "return pooled"},
)

STAGE = """            stage = nn.Sequential()
            for i in range(depth):
                stride = 2 if s > 0 and i == 0 else 1
                stage.append(BasicBlock(channels, wide, stride))
                channels = wide
"""

resnet.right(
    "a list of blocks",
    edits={
        STAGE: "            first = BasicBlock(channels, wide, 1 if s == 0 else 2)\n            stage = nn.Sequential(first, *[BasicBlock(wide, wide) for _ in range(depth - 1)])\n            channels = wide\n"
    },
)

resnet.right(
    "strides from a list",
    edits={
        STAGE: "            strides = [2 if s else 1] + [1] * (depth - 1)\n            ins = [channels] + [wide] * (depth - 1)\n            stage = nn.Sequential(*map(BasicBlock, ins, [wide] * depth, strides))\n            channels = wide\n"
    },
)

LOOP = "        for name in self.stages:\n            x = getattr(self, name)(x)  # halved from the second stage on\n"

resnet.right(
    "get_submodule and nn.Sequential",
    edits={
        LOOP: "        x = nn.Sequential(*(self.get_submodule(name) for name in self.stages))(x)\n",
        POOLED: "self.features(images).flatten(2).mean(-1)",
    },
)

resnet.right(
    "the library's pooling",
    edits={POOLED: "nn.AdaptiveAvgPool2d(1)(self.features(images)).flatten(1)"},
)

resnet.right(
    "head first, then the mean",
    edits={
        "pooled = self.features(images).mean(dim=(2, 3))": "channels_last = self.features(images).movedim(1, -1)",
        "return self.fc(pooled)": "return self.fc(channels_last).mean(dim=(1, 2))",
    },
)


resnet.wrong(
    'squeeze',
    "For a single image your output has no batch axis: `squeeze` takes away every axis of length 1. Take away the "
    "two axes of the map only.",
    edits={
        "stage = nn.Sequential()\n"
        "            for i in range(depth):\n"
        "                stride = 2 if s > 0 and i == 0 else 1\n"
        "                stage.append(BasicBlock(channels, wide, stride))\n"
        "                channels = wide": "stage = nn.Sequential(BasicBlock(channels, wide, stride=1 if s == 0 else 2), *(BasicBlock(wide, wide) for _ in range(depth - 1)))\n"
        "            channels = wide",
        "pooled = self.features(images).mean(dim=(2, 3))  # (B, C', H', W') -> (B, C')\n"
        "        return self.fc(pooled)": "return self.fc(F.adaptive_avg_pool2d(self.features(images), 1).squeeze())",
    },
)


resnet.wrong(
    'one block shared',
    "From the second on, the blocks of a stage are one and the same block with the same weights (`[block] * n` "
    "gives that). Build a new one for every place.",
    edits={
        "stage = nn.Sequential()\n"
        "            for i in range(depth):\n"
        "                stride = 2 if s > 0 and i == 0 else 1\n"
        "                stage.append(BasicBlock(channels, wide, stride))\n"
        "                channels = wide": "first = BasicBlock(channels, wide, 1 if s == 0 else 2)\n"
        "            stage = nn.Sequential(first, *[BasicBlock(wide, wide)] * (depth - 1))\n"
        "            channels = wide",
        "pooled = self.features(images).mean(dim=(2, 3))  # (B, C', H', W') -> (B, C')\n"
        "        return self.fc(pooled)": "return self.fc(self.features(images).mean(dim=(2, 3)))",
    },
)


resnet.right(
    'plain',
    edits={
        "stage = nn.Sequential()\n"
        "            for i in range(depth):\n"
        "                stride = 2 if s > 0 and i == 0 else 1\n"
        "                stage.append(BasicBlock(channels, wide, stride))\n"
        "                channels = wide": "stage = nn.Sequential(BasicBlock(channels, wide, stride=1 if s == 0 else 2), *(BasicBlock(wide, wide) for _ in range(depth - 1)))\n"
        "            channels = wide",
        "pooled = self.features(images).mean(dim=(2, 3))  # (B, C', H', W') -> (B, C')\n"
        "        return self.fc(pooled)": "return self.fc(self.features(images).mean(dim=(2, 3)))",
    },
)


