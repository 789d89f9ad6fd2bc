"""What every config shares: frozen, closed, each field declared once."""

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

Backend: TypeAlias = Literal['tensorflow', 'pytorch']


class Config(BaseModel):
    """Base of the configs: frozen, unknown fields refused, defaults checked too."""

    model_config = ConfigDict(
        frozen=True, extra='forbid', validate_default=True, protected_namespaces=()
    )


def setting(
    default: Any,
    description: str,
    *,
    unit: str = '',
    advanced: bool = False,
    **constraints: Any,
) -> Any:
    """Declare a field once: default, range, unit and help.

    The command line, the Ptychodus settings and the reference page are made from it.

    Args:
        default: the value where the user says nothing.
        description: one sentence of help.
        unit: of the value, '' for a plain number.
        advanced: True folds the field away in a graphical page.
        **constraints: pydantic's own, such as `ge` and `le`.
    """
    extra: JsonDict = {'unit': unit, 'advanced': advanced}
    return Field(default, description=description, json_schema_extra=extra, **constraints)
