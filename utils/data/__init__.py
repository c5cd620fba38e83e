"""The data door: real data sets from a mirror or the Hub, else data that the course brings along."""

from utils.data.catalog import IMAGES
from utils.data.containers import DataError, ImageData, ImageSplit, TextData, TextSplit
from utils.data.diagnostics import DiagnosticPair, diagnostic_pairs
from utils.data.digits import DigitPairs
from utils.data.door import load_images, load_text
from utils.data.frames import Frames
from utils.data.panel import show_notice
from utils.data.pretrained import Checkpoint, from_hub
from utils.data.review_trees import Review
from utils.data.review_writer import generate_reviews
from utils.data.shapes import ProceduralImages
from utils.data.subsets import subset_indices
from utils.data.text import Batches, tokenize

__all__ = [
    "IMAGES",
    "Batches",
    "Checkpoint",
    "DataError",
    "DiagnosticPair",
    "DigitPairs",
    "Frames",
    "ImageData",
    "ImageSplit",
    "ProceduralImages",
    "Review",
    "TextData",
    "TextSplit",
    "diagnostic_pairs",
    "from_hub",
    "generate_reviews",
    "load_images",
    "load_text",
    "show_notice",
    "subset_indices",
    "tokenize",
]
