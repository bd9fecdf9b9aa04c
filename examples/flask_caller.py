"""A Flask application that calls the service `orders` through Lattice from its views.

    pip install 'vpc-lattice-client[requests]' flask
    ORDERS_URL=https://orders.internal.example.com flask --app flask_caller run

In Django, put the session into a separate module that the views import.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import requests
from flask import Flask, abort, request

from lattice_client import LatticeAuth, RetryPolicy, explain
from lattice_client.requests import Session

app = Flask(__name__)
# One for all threads: credentials and retry quotas are shared. A session is for one thread.
auth = LatticeAuth()
retry = RetryPolicy(deadline=5)
of_thread = threading.local()


def orders() -> Session:
    """The calling thread's session."""
    if not hasattr(of_thread, "session"):
        of_thread.session = Session(auth=auth, retry=retry)
    session: Session = of_thread.session
    return session


@app.post("/basket")
def order() -> Any:
    # With the key the order may be sent again after a broken connection; it is placed once.
    headers = {"Idempotency-Key": request.headers.get("Idempotency-Key", "")}
    try:
        response = orders().post(
            f"{os.environ['ORDERS_URL']}/orders",
            json=request.get_json(),
            headers={name: value for name, value in headers.items() if value},
            timeout=(1, 2),
        )
    except requests.RequestException:
        app.logger.exception("orders cannot be reached")
        abort(503)
    if denial := explain(response):
        app.logger.error("orders refuses this application: %s", denial)
        abort(502)
    return response.json(), response.status_code
