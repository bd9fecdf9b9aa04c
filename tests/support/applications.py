"""Applications and functions that configuration files name."""


async def blue(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"blue"})


async def green(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"green"})


def handler(event, _context):
    return {"statusCode": 200, "body": f"function {event['method']}"}


NUMBER = 42


class _Unconfigured:
    """A lazy object of a framework that needs settings first."""

    def __getattr__(self, name):
        raise RuntimeError(f"no settings, no {name}")


UNCONFIGURED = _Unconfigured()
