"""The second level of requests: connections to an address that is not the URL's host.

requests itself is not imported: what is here, the Adapter puts to use.
"""

from __future__ import annotations
