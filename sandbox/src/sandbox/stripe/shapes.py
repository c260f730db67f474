"""The SDK's generated types as a version-exact specification of what goes in and what comes out."""

import functools
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stripe import StripeObject
from typing_extensions import is_typeddict

from sandbox.bodies import whole_number
from sandbox.stripe.errors import StripeError

# Options of the SDK's own, mixed into its parameter types; they never travel.
_SDK_OPTIONS = frozenset(
    (
        "api_key", "stripe_version", "stripe_account", "stripe_context", "max_network_retries", "idempotency_key",
        "content_type", "headers",
    )
)  # fmt: skip


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    # Named in the SDK's options only, and imported there for type checkers alone.
    return get_type_hints(cls, localns={"StripeContext": Any, "Mapping": Mapping})


@functools.cache
def _nulls(cls: type) -> tuple[str, ...]:
    # Not evaluated: the SDK names classes here that it imports for type checkers alone.
    return tuple(name for name, hint in cls.__annotations__.items() if type(None) in get_args(hint))


def blank(cls: type) -> dict[str, Any]:
    """An object of the class with every optional field null. The caller fills the others."""
    return dict.fromkeys(_nulls(cls))


def check(params: dict[str, Any], cls: type, path: str = "") -> dict[str, Any]:
    """The parameters with their types, by the SDK's parameter class. Stripe's own errors for what does not fit."""
    hints = {name: hint for name, hint in _hints(cls).items() if name not in _SDK_OPTIONS}
    checked = {}
    for name, value in params.items():
        where = f"{path}[{name}]" if path else name
        if name not in hints:
            raise StripeError(400, f"Received unknown parameter: {where}", code="parameter_unknown", param=where)
        checked[name] = _fit(value, hints[name], where)
    for name in getattr(cls, "__required_keys__", ()):
        if name not in checked:
            where = f"{path}[{name}]" if path else name
            raise StripeError(400, f"Missing required param: {where}.", code="parameter_missing", param=where)
    return checked


def _fit(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _fit_one_of(value, arguments, where)
    if origin is Literal:
        if value not in arguments:
            allowed = ", ".join(str(argument) for argument in arguments if argument)
            raise StripeError(400, f"Invalid {where}: must be one of {allowed}", param=where)
        return value
    if origin is list:
        if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
            raise StripeError(400, "Invalid array", code="parameter_invalid", param=where)
        return [_fit(entry, arguments[0], f"{where}[{key}]") for key, entry in value.items()]
    if origin is dict:
        if not isinstance(value, dict):
            raise StripeError(400, "Invalid object", code="parameter_invalid", param=where)
        return {key: _fit(entry, arguments[1], f"{where}[{key}]") for key, entry in value.items()}
    if is_typeddict(hint):
        if not isinstance(value, dict):
            raise StripeError(400, "Invalid object", code="parameter_invalid", param=where)
        return check(value, hint, where)
    return _fit_scalar(value, hint, where)


def _fit_one_of(value: Any, arguments: tuple[Any, ...], where: str) -> Any:
    # The SDK writes open enumerations as `Literal[...] | str`; what it lists is what the API takes.
    literal = [argument for argument in arguments if get_origin(argument) is Literal and argument != Literal[""]]
    if literal and all(argument is str or get_origin(argument) is Literal for argument in arguments):
        named = tuple(value for argument in literal for value in get_args(argument))
        if value not in named:
            raise StripeError(400, f"Invalid {where}: must be one of {', '.join(map(str, named))}", param=where)
        return value
    failure: StripeError | None = None
    for argument in arguments:
        if _is_response(argument):
            continue
        try:
            return _fit(value, argument, where)
        except StripeError as error:
            failure = error
    raise failure or StripeError(400, f"Invalid {where}", param=where)


def _is_response(hint: Any) -> bool:
    """Whether it is one of the SDK's own objects, which it also takes as parameters and sends as plain ones."""
    cls = get_origin(hint) or hint
    return isinstance(cls, type) and issubclass(cls, StripeObject)


def _fit_scalar(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, dict):
        raise StripeError(400, "Invalid string", code="parameter_invalid", param=where)
    if hint is int:
        number = whole_number(value)
        if number is None:
            raise StripeError(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=where)
        return number
    if hint is bool:
        if value not in ("true", "false"):
            raise StripeError(400, f"Invalid boolean: {value}", param=where)
        return value == "true"
    return value
