"""Every error that a user can cause, as one tree.

DiffusionToyError
├── InvalidValueError      a value outside its range: says the value, the limit, the remedy
├── CheckpointError        a model file that is missing, damaged or of another kind
└── MissingExtraError      an optional package is not installed: says the install command
"""


class DiffusionToyError(Exception):
    """Base class; its text is one sentence that a user can act on."""


class InvalidValueError(DiffusionToyError, ValueError):
    """A value outside its range.

    `field` names the value as the user wrote it (a flag or a field of the protocol), `value`
    and `limit` are the text forms of what was given and of what is allowed.
    """

    def __init__(self, field: str, value: object, limit: str, remedy: str = "") -> None:
        self.field = field
        self.value = str(value)
        self.limit = limit
        text = f"{field} {value} is outside {limit}"
        super().__init__(f"{text}; {remedy}" if remedy else text)


class CheckpointError(DiffusionToyError):
    """A model file is missing, damaged, or not one of ours."""


class MissingExtraError(DiffusionToyError):
    """A package that belongs to an optional extra is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed; run: pip install "diffusion-toy[{extra}]"')
