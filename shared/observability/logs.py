"""Logs: JSON lines on standard output, an event name with fields, ours and the libraries'."""

import logging
import sys

import orjson
import structlog


def configure_logs(level: str) -> None:
    """Log from this level on; libraries that log each message they handle, from WARNING on."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],  # type: ignore[list-item]
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    stream = logging.StreamHandler(sys.stdout)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(
                    serializer=lambda entry, **_: orjson.dumps(entry, default=str).decode()
                ),
            ],
            foreign_pre_chain=shared,  # type: ignore[arg-type]
        )
    )
    logging.basicConfig(level=level, handlers=[stream], force=True)
    for noisy in ("aiokafka", "faust", "httpx", "mode", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.getLevelName(level), logging.WARNING))
