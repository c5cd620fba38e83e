"""The parts of the procedural images: a hash for random numbers, glyph masks, textures, the target."""

import torch

PATCH, GLYPH, MARKER = 13, 9, 5  # sides in pixels in an image of 32 x 32
SHAPES = ("disc", "ring", "square", "triangle", "plus", "cross", "diamond", "crescent")
SCALES = (0.8, 0.9, 1.0)
# The six light colours of the palette of Okabe and Ito (2008), which colour-blind readers can tell apart.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))


def _signed(value: int) -> int:
    """A 64-bit pattern as the int64 that torch holds."""
    return value - (1 << 64) if value >= 1 << 63 else value


_STEP, _MIX_1, _MIX_2 = (_signed(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def hash64(counter: torch.Tensor, key: int = 0) -> torch.Tensor:
    """Random 64-bit numbers from counters (the finaliser of SplitMix64).

    Args:
        counter: int64 of any shape.
        key: another key gives an independent sequence.

    Returns:
        int64 of the same shape, all 64 bits random. Right shifts in torch keep the sign, so the copies are masked.
    """
    z = counter * _STEP + _signed(key & ((1 << 64) - 1))
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * _MIX_1
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * _MIX_2
    return z ^ ((z >> 31) & ((1 << 33) - 1))


def hash32(counter: torch.Tensor) -> torch.Tensor:
    """Random 32-bit numbers from counters, for whole pictures: 32-bit products are vectorised, 64-bit ones are not.

    Args:
        counter: int32 of any shape; it must already differ in many bits (`hash64` of an index, for instance).

    Returns:
        int32 of the same shape (the `lowbias32` of C. Wellons, 2018, "Prospecting for hash functions").
    """
    z = (counter ^ ((counter >> 16) & 0xFFFF)) * 0x7FEB352D
    z ^= (z >> 15) & 0x1FFFF
    z *= 0x846CA68B - (1 << 32)
    z ^= (z >> 16) & 0xFFFF
    return z


def glyph_masks(side: int) -> torch.Tensor:
    """Coverage masks of all glyphs with soft edges.

    Returns:
        (shapes, scales, side, side) float32 in 0..1, averaged over 8 x 8 points per pixel.
    """
    fine = 8 * side
    axis = (torch.arange(fine) + 0.5) / fine * 2 - 1
    masks = []
    for scale in SCALES:
        y, x = torch.meshgrid(axis / scale, axis / scale, indexing="ij")
        radius, ax, ay = torch.hypot(x, y), x.abs(), y.abs()
        inside = [
            radius < 0.95,
            (radius < 1.0) & (radius > 0.52),
            torch.maximum(ax, ay) < 0.82,
            (y < 0.8) & (y > 2.0 * ax - 1.0),
            ((ax < 0.27) | (ay < 0.27)) & (torch.maximum(ax, ay) < 1.0),
            (((x - y).abs() < 0.4) | ((x + y).abs() < 0.4)) & (torch.maximum(ax, ay) < 0.9),
            ax + ay < 1.05,
            (radius < 1.0) & (torch.hypot(x - 0.5, y) > 0.78),
        ]
        masks.append(torch.stack(inside).float())
    stacked = torch.stack(masks, dim=1).view(len(SHAPES) * len(SCALES), 1, fine, fine)
    return torch.nn.functional.avg_pool2d(stacked, 8).view(len(SHAPES), len(SCALES), side, side)


def marker_pixels(side: int) -> torch.Tensor:
    """The target: a white square ring around a black one around a white dot. (3, side, side) float32."""
    axis = (torch.arange(side) * 5 // side - 2).abs()
    ring = torch.maximum(axis[:, None], axis[None, :])  # 0 in the middle, 2 at the rim
    return (ring != 1).float().expand(3, -1, -1).clone()


def texture_values(kind: torch.Tensor, draws: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Textures in any orientation, period and phase, of mean 0 and variance 1 under a round window.

    The normalisation matters: without it, the kind could be read off the brightness or the contrast of the patch.

    Args:
        kind: (B,) 0 stripes, 1 checks, 2 rings, 3 zigzag.
        draws: (B, 6) uniform numbers in [0, 1).
        side: of the patch, in pixels.

    Returns:
        values (B, side, side) float32; window (side, side) float32 in 0..1.
    """
    axis = (torch.arange(side, device=draws.device) + 0.5) / side * 2 - 1
    y, x = axis[:, None], axis[None, :]
    window = ((1.0 - torch.hypot(x, y)) * side / 2 + 0.5).clamp(0, 1)  # soft over the last pixel
    angle, period, phase_a, phase_b, shift_x, shift_y = (column[:, None, None] for column in draws.unbind(1))
    kind = kind[:, None, None]
    wave = 2 * torch.pi / (0.62 + 0.3 * period)  # radians per half side: 4 to 6 pixels a period at 13 pixels
    cos, sin = torch.cos(angle * 2 * torch.pi), torch.sin(angle * 2 * torch.pi)
    along, across = wave * (cos * x + sin * y), wave * (cos * y - sin * x)
    along, across = along + 2 * torch.pi * phase_a, across + 2 * torch.pi * phase_b
    radius = wave * torch.hypot(x - (shift_x - 0.5) * 0.5, y - (shift_y - 0.5) * 0.5) + 2 * torch.pi * phase_a
    bend = torch.asin(torch.sin(across * 0.8)) * (kind == 3) * 1.3
    values = torch.sin(torch.where(kind == 2, radius, along + bend))
    values = values * torch.where(kind == 1, torch.sin(across) * 2.0, torch.ones_like(values))
    values = (values * 2.0).clamp(-1, 1)
    total = window.sum()
    values = values - (values * window).sum((1, 2), keepdim=True) / total
    spread = ((values**2 * window).sum((1, 2), keepdim=True) / total).sqrt()
    return values / spread, window
