"""What can be wrong with a model, its artefact or the data it is trained on."""

from mitra.errors import MitraError


class ModelError(MitraError):
    """A model can't be used: its files, its bytes or its features are not what they should be."""


class TrainingError(MitraError):
    """A model can't be trained from what was given: the data, the windows or the parameters don't fit."""
