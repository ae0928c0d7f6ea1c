"""Models for other runtimes, and several models averaged into one."""

from unetseg import model as _model  # noqa: F401 - imports Keras in silence
