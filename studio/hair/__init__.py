"""Grows hair: on the scalp, brows, lashes and beards."""

from studio.hair.facial import beard, brows, lashes
from studio.hair.scalp import grow
from studio.hair.styles import HAIR_STYLES

__all__ = ["HAIR_STYLES", "beard", "brows", "grow", "lashes"]
