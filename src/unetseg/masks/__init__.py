"""Masks for new images, in the formats that other programs open."""
