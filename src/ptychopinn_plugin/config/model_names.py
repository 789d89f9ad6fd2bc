"""Names that stand for a model where a file of one may be given."""

PACKAGED = 'packaged'
"""The model that the package brings."""
NONE = 'none'
"""No model: physics alone."""
MODEL_NAMES = (PACKAGED, NONE)
