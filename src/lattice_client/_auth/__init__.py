"""Signing requests and recovering from refusals, the same for all libraries.

``request_signer`` is what hooks and clients call. It decides by ``host_scope`` and ``routing``,
signs with a signer of ``signer_cache``, and answers a refusal by ``refusal``, ``recovery`` and
``clock``. ``requests_hook`` and ``aiohttp_hook`` are the auth objects' hooks.
"""
