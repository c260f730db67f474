"""The `holdfast` command.

Each command is one module in `holdfast.commands` with a function `register(app)`. A module's own
imports are cheap; what is heavy is imported inside the command. When the first word names a
command, only that module is loaded, so that `holdfast lag` does not pay for `holdfast up`.
"""

from __future__ import annotations

import importlib
import sys

import typer

# Command → module in holdfast.commands. A module may register several commands.
COMMANDS = {
    "up": "up",
    "demo": "demo",
    "doctor": "doctor",
    "seed": "seed",
    "topics": "topics",
    "lag": "topics",
    "tail": "topics",
    "dead-letters": "dead_letters",
    "audit": "audit",
    "verify": "verify",
    "bench": "bench",
    "migrate": "maintenance",
    "openapi": "maintenance",
}


def build(first_word: str | None = None) -> typer.Typer:
    """The application, with one command's module if `first_word` names it, else with all."""
    app = typer.Typer(
        name="holdfast",
        help="Run, watch and check a Holdfast system.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    # A callback keeps Typer from turning a single command into the application itself.
    @app.callback()
    def holdfast() -> None:
        """Run, watch and check a Holdfast system."""

    modules = [COMMANDS[first_word]] if first_word in COMMANDS else dict.fromkeys(COMMANDS.values())
    for module in modules:
        importlib.import_module(f"holdfast.commands.{module}").register(app)
    return app


def main() -> None:
    """The console script."""
    from .errors import HoldfastError

    try:
        build(sys.argv[1] if len(sys.argv) > 1 else None)()
    except HoldfastError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
