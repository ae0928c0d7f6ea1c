"""Export models to other runtimes, and average several models into one."""

from unetseg.model import keras as _keras  # noqa: F401 - imports it in silence
