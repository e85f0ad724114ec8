"""The micro-world: small pictures, the sentences that describe them, and questions with one right answer.

Everything here is numpy and integers, made in memory from a seed, and the same on every machine:

    draws.py       dice that depend on a seed and on nothing else
    scenes.py      what is in a picture, and which scenes belong to which split
    pictures.py    scene -> 48 x 48 pixels
    sentences.py   scene -> caption, facts and phrases
    questions.py   scene -> questions of six kinds, each with its answer
    vocabulary.py  words <-> ids
"""

from course_lib.microworld.pictures import PICTURE_SIZE, render, render_many
from course_lib.microworld.questions import KINDS, Question, draw_questions
from course_lib.microworld.scenes import (
    COLOURS,
    COLUMNS,
    GRID,
    ROWS,
    SHAPES,
    SIZES,
    SPLITS,
    UNSEEN_PAIRS,
    Scene,
    Thing,
    draw_scenes,
    split_of,
)
from course_lib.microworld.sentences import caption
from course_lib.microworld.vocabulary import Vocabulary

__all__ = [
    "COLOURS",
    "COLUMNS",
    "GRID",
    "KINDS",
    "PICTURE_SIZE",
    "ROWS",
    "SHAPES",
    "SIZES",
    "SPLITS",
    "UNSEEN_PAIRS",
    "Question",
    "Scene",
    "Thing",
    "Vocabulary",
    "caption",
    "draw_questions",
    "draw_scenes",
    "render",
    "render_many",
    "split_of",
]
