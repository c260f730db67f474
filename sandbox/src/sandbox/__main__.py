"""`python -m sandbox`."""

import logging

import structlog
import uvicorn

from sandbox.app import create_app
from sandbox.connections import CuttableProtocol
from sandbox.settings import SandboxSettings

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings = SandboxSettings()
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        http=CuttableProtocol,
        proxy_headers=False,
    )
