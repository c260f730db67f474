"""Structured logs with the trace id, and the W3C trace context of the request or event in hand."""

import logging
import re
import secrets
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from events.transaction import traceparent

_TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


def continue_trace(header: str | None) -> str:
    """Takes up the caller's trace, or begins one; returns the `traceparent` to pass on (W3C Trace Context)."""
    if header and _TRACEPARENT.match(header):
        _, trace_id, _, flags = header.split("-")
    else:
        trace_id, flags = secrets.token_hex(16), "01"
    value = f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"
    traceparent.set(value)
    return value


def trace_id() -> str | None:
    """The trace in hand."""
    value = traceparent.get()
    return value.split("-")[1] if value else None


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if found := trace_id():
        event["trace_id"] = found
    return event


def configure_logging(service: str, *, log_format: str, level: str) -> None:
    """JSON lines on stderr, or coloured text in a terminal; the standard library's loggers go the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.contextvars.bind_contextvars(service=service)
    for noisy in ("uvicorn.access", "aiokafka", "httpx"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
