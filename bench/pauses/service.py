# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""service.py OBJECTS: a Django service in one process. Prints its port, serves until its standard input ends, then
prints how many full collections there were.

A catalogue of OBJECTS tracked objects is held in memory, as services hold what they do not want to ask a database for.
Each visitor has a session in an in-process cache of 3,000: a basket whose lines refer to the basket, so that a session
that falls out of the cache is garbage in cycles. /basket/VISITOR puts something into the basket and answers with a page
from a template."""

import collections
import gc
import random
import socketserver
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.template import engines
from django.urls import path

settings.configure(
    DEBUG=False, SECRET_KEY="of a benchmark", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}])
django.setup()

PAGE = engines["django"].from_string(
    "<h1>{{ basket.visitor }}</h1><ul>{% for line in basket.lines %}<li>{{ line.product.name }}: {{ line.count }} "
    "at {{ line.product.prices.0 }}</li>{% endfor %}</ul><p>{{ basket.total }}</p>")
CATALOGUE = []
BASKETS = collections.OrderedDict()


class Line:
    def __init__(self, basket, product):
        self.basket, self.product, self.count = basket, product, 1
        self.history = [{"line": self, "step": step} for step in range(100)]


class Basket:
    def __init__(self, visitor):
        self.visitor, self.lines = visitor, []

    @property
    def total(self):
        return sum(line.product["prices"][0] * line.count for line in self.lines)


def basket_page(request, visitor):
    basket = BASKETS.setdefault(visitor, Basket(visitor))
    basket.lines.append(Line(basket, CATALOGUE[visitor * 7919 % len(CATALOGUE)]))
    BASKETS.move_to_end(visitor)
    while len(BASKETS) > 3000:
        BASKETS.popitem(last=False)
    return HttpResponse(PAGE.render({"basket": basket}))


urlpatterns = [path("basket/<int:visitor>", basket_page)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    random.seed(1)
    gc.disable()
    CATALOGUE.extend({"name": f"product {i}", "prices": [i % 1000, i % 900]} for i in range(int(sys.argv[1]) // 2))
    random.shuffle(CATALOGUE)
    gc.collect()
    gc.enable()
    server = Server(("127.0.0.1", 0), Quiet)
    server.set_app(get_wsgi_application())
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = gc.get_stats()[2]["collections"]
    sys.stdin.read()
    print(gc.get_stats()[2]["collections"] - before, flush=True)


if __name__ == "__main__":
    main()
