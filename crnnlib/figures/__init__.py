"""The figures of the book: from finished tables, trials or spectrograms to plotly figures; none computes a score.

`show` puts a figure on a notebook's page, with its caption, its alternative text and the name of the corpus; with a
`player` a click on it is heard. `styles` gives each artist one colour and symbol for all figures. What the modules
below have can be had from here, as ``figures.show``.
"""

from crnnlib.figures.architecture import architecture, receptive_fields
from crnnlib.figures.audio import Player, player, sounds
from crnnlib.figures.comparisons import ablation, album_in_bottleneck, dial, forest
from crnnlib.figures.corpus import album_spectra, durations, mel_panels, tracks_per_artist
from crnnlib.figures.maps import embedding_map, points, timeline
from crnnlib.figures.page import Embedded, embed, save, show
from crnnlib.figures.results import calibration, confusion, f1_by_clip_length, refusals, vote_curve
from crnnlib.figures.theme import Style, styles
from crnnlib.figures.training import growth, learning_curves, time_per_clip_length

__all__ = [
    "Embedded",
    "Player",
    "Style",
    "ablation",
    "album_in_bottleneck",
    "album_spectra",
    "architecture",
    "calibration",
    "confusion",
    "dial",
    "durations",
    "embed",
    "embedding_map",
    "f1_by_clip_length",
    "forest",
    "growth",
    "learning_curves",
    "mel_panels",
    "player",
    "points",
    "receptive_fields",
    "refusals",
    "save",
    "show",
    "sounds",
    "styles",
    "time_per_clip_length",
    "timeline",
    "tracks_per_artist",
    "vote_curve",
]
