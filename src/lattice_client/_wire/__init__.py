"""What is known of each HTTP library's objects: its requests, responses and headers.

``request`` says what the signer needs of a request. ``requests``, ``httpx`` and ``aiohttp`` provide
it, and ``detect`` finds which library a request is of. ``*_response`` and ``response_body`` read
refusals ahead of their caller. ``body``, ``headers`` and ``urls`` serve all libraries.
"""
