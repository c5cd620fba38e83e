"""The course's pictures: one palette, axes with units, labels where the eye is, alt text for everybody.

    fig, ax = plotting.figure()
    plotting.lines(ax, epochs, {"ViT": vit, "ResNet": resnet}, xlabel="epoch", ylabel="accuracy")
    plotting.show(fig, alt="Test accuracy per epoch: the ResNet is ahead of the ViT throughout.")

`theme` holds colours, fonts and `figure`; `charts` plots of numbers; `sketches` sentences and flow diagrams;
`display` puts the result on the page, `explore` with controls.
"""

from utils.plotting.charts import bars, chance, heatmap, images, lines, name_points
from utils.plotting.controls import explore
from utils.plotting.display import described, mimebundle, show
from utils.plotting.recurrent import lstm_cell
from utils.plotting.sketches import TokenStrip, flow, tokens
from utils.plotting.theme import COLORS, figure, palette, readable

__all__ = [
    "COLORS",
    "TokenStrip",
    "bars",
    "chance",
    "described",
    "explore",
    "figure",
    "flow",
    "heatmap",
    "images",
    "lines",
    "lstm_cell",
    "mimebundle",
    "name_points",
    "palette",
    "readable",
    "show",
    "tokens",
]
