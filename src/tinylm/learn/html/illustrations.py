"""The pictures and views of the live model that stand on each page."""

from __future__ import annotations

from collections.abc import Callable

from tinylm.learn.html.picture import Picture
from tinylm.learn.html.pictures.attention import attention_by_hand
from tinylm.learn.html.pictures.counting import scale_of_losses, table_of_pairs
from tinylm.learn.html.pictures.one_weight import one_weight
from tinylm.learn.html.pictures.past import arrows, mask
from tinylm.learn.html.pictures.run import curves, embedding_map
from tinylm.learn.html.pictures.shapes import shapes, text_against_weights
from tinylm.learn.html.pictures.stream import contributions, switched_off
from tinylm.learn.html.pictures.tokens import merges_one_by_one
from tinylm.learn.html.pictures.writing import cache, next_words, temperatures
from tinylm.learn.html.subject import Subject

PICTURES: dict[int, tuple[Callable[[Subject], Picture], ...]] = {
    0: (next_words,),
    1: (merges_one_by_one,),
    2: (table_of_pairs, scale_of_losses),
    3: (one_weight,),
    4: (embedding_map,),
    5: (attention_by_hand,),
    6: (mask, arrows),
    7: (contributions,),
    8: (curves,),
    9: (temperatures, cache),
    10: (switched_off,),
    11: (shapes,),
    12: (text_against_weights,),
}
"""By page."""

LIVE = {0: "write next", 5: "sentence attention", 9: "write next settings", 10: "sentence attention lens"}
"""Views of the model by page (page/lesson/live_model.js)."""

OF_THE_ANIMALS = (5, 6, 10)
"""Pages whose example is the built-in text `animals`, in which a word is known only by looking back."""
