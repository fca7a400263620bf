# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""logging: a service's log through loggers, a filter, formatters and two handlers."""

import io
import logging

from bench_common import done, scaled


class Only(logging.Filter):
    """Drops what comes from the noisy part."""

    def filter(self, record):
        record.request = f"r{record.args[0] % 97}" if record.args else "-"
        return not record.name.endswith("noise")


def handler(stream, level, form):
    made = logging.StreamHandler(stream)
    made.setLevel(level)
    made.setFormatter(logging.Formatter(form))
    made.addFilter(Only())
    return made


def main():
    every, errors = io.StringIO(), io.StringIO()
    root = logging.getLogger("service")
    root.propagate = False
    root.setLevel(logging.INFO)
    root.addHandler(handler(every, logging.INFO, "%(levelname)-8s %(name)s [%(request)s] %(message)s"))
    root.addHandler(handler(errors, logging.ERROR, "%(name)s:%(lineno)d %(message)s"))
    loggers = [logging.getLogger(f"service.{name}") for name in ("web", "store", "noise", "web.session")]
    for number in range(scaled(85000)):
        logger = loggers[number % 4]
        logger.debug("state %d", number)
        logger.info("served %d in %.2f ms to %s", number, number % 113 / 7, {"user": number % 50})
        if number % 40 == 0:
            logger.error("request %d failed: %s", number, ["timeout", "refused"][number % 3 % 2])
    return len(every.getvalue()), len(errors.getvalue())


done("logging", main())
