"""Export models to other runtimes, and average several models into one."""

from unetseg.model import keras as keras  # imports it in silence
