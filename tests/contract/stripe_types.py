"""Checks JSON against the response types that the installed Stripe SDK was generated with."""

import ast
import functools
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import stripe

KINDS: dict[str, type] = {
    "checkout.session": stripe.checkout.Session,
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "event": stripe.Event,
    "item": stripe.LineItem,
}


def mistakes(value: Any, cls: type | None = None, path: str = "") -> list[str]:
    """What is wrong with an answer, empty when nothing is: required fields that are missing, fields that the version
    does not have, values of another type or outside a named set. `cls`: by the answer's own `object` when None."""
    if cls is None and isinstance(value, dict) and value.get("object") == "list":
        return [text for entry in value["data"] for text in mistakes(entry)]
    return list(_check(value, cls or KINDS[value["object"]], path or value["object"]))


@functools.cache
def _fields(cls: type) -> dict[str, Any]:
    """The class's own fields, with names that the SDK imports for type checkers alone."""
    module = sys.modules[cls.__module__]
    names = dict(vars(module)) | _typing_imports(cls.__module__)
    own = {name: hint for name, hint in cls.__annotations__.items() if get_origin(hint) is not typing.ClassVar}
    holder = type("Holder", (), {"__annotations__": own})
    return typing.get_type_hints(holder, globalns=names, localns=names)


@functools.cache
def _typing_imports(module_name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    tree = ast.parse(inspect.getsource(sys.modules[module_name]))
    for branch in (node for node in tree.body if isinstance(node, ast.If)):
        for node in branch.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                found |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    return found


def _check(value: Any, hint: Any, path: str) -> Iterator[str]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value not in arguments:
            yield f"{path}: {value!r} is none of {arguments}"
    elif origin in (Union, types.UnionType):
        yield from _check_union(value, arguments, path)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
        else:
            for index, entry in enumerate(value):
                yield from _check(entry, arguments[0], f"{path}[{index}]")
    elif origin is stripe.ListObject:
        if not isinstance(value, dict) or set(value) != {"object", "data", "has_more", "url"}:
            yield f"{path}: {value!r} is no list object"
        else:
            for index, entry in enumerate(value["data"]):
                yield from _check(entry, arguments[0], f"{path}.data[{index}]")
    elif hint is Any:
        return
    elif origin is not None or getattr(hint, "__name__", "") == "UntypedStripeObject":
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no object"
        elif arguments:
            for name, entry in value.items():
                yield from _check(entry, arguments[0], f"{path}.{name}")
    elif isinstance(hint, type) and issubclass(hint, stripe.StripeObject):
        yield from _check_object(value, hint, path)
    elif type(value) is not hint and not (hint is float and type(value) is int):
        yield f"{path}: {value!r} is no {hint.__name__}"


def _check_union(value: Any, arguments: tuple[Any, ...], path: str) -> Iterator[str]:
    # `Literal[…] | str` is how the SDK writes an enumeration that may grow; today it is what it lists.
    if any(get_origin(argument) is Literal for argument in arguments):
        arguments = tuple(argument for argument in arguments if argument is not str)
    found = [list(_check(value, argument, path)) for argument in arguments if argument is not type(None)]
    if value is None and type(None) in arguments:
        return
    if all(found):
        yield from min(found, key=len)


def _check_object(value: Any, cls: type, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
        return
    fields = _fields(cls)
    for name, hint in fields.items():
        if name in value:
            yield from _check(value[name], hint, f"{path}.{name}")
        elif type(None) not in get_args(hint):
            yield f"{path}.{name}: is missing"
    for name in value.keys() - fields.keys():
        yield f"{path}.{name}: there is no such field"
