"""DNS: where a name leads, and whether that is VPC Lattice."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any, Literal, NamedTuple, get_args

from lattice_client.errors import ConfigurationError, MissingExtraError, NameSourceError
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.lattice_addresses import LATTICE_NETWORKS, Network, foreign_address
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.source import AliasHost, check_alias_host, earlier

__all__ = ["DnsNames"]

Via = Literal["system", "dnspython"]
Connect = Literal["name", "address"]

# As many CNAMEs as resolvers follow, or a few more.
_MAX_CHAIN = 16


class _Answer(NamedTuple):
    """The last name of the CNAME chain, its addresses, and their TTL in seconds (None: unknown)."""

    canonical: str
    addresses: tuple[str, ...]
    ttl: float | None


class DnsNames:
    """The source that resolves a name and calls it Lattice's if its addresses are.

    :param via: ``system`` queries the operating system, as the HTTP libraries do: it uses hosts
        files and search lists, but returns no TTL. ``dnspython`` (extra ``dns``) queries name
        servers.
    :param nameservers: addresses of the name servers to query, ``127.0.0.1`` or
        ``127.0.0.1:5353``, instead of the machine's. They require dnspython and select it.
    :param timeout: seconds for each query to the name servers (dnspython; the system has its own
        time-out).
    :param ttl: for how many seconds an answer without a TTL is used.
    :param networks: addresses that are Lattice's besides its own ranges. A service-network endpoint
        has addresses of your subnets: give those, as ``10.0.16.0/24``, and nothing more.
    :param connect: ``name`` lets the HTTP library resolve the name again, with its fallback from
        one address family to the other. ``address``: connect to the first address of the checked
        answer, and no other.
    :param host: the Host header if a CNAME leads to a managed name. ``kept``: the requested name,
        which Lattice knows as a custom domain. ``managed``: the name is only an alias, so Host and
        SNI become the managed name.
    :raises ConfigurationError: if an argument is invalid.
    :raises MissingExtraError: on the first look-up, if dnspython is needed and not installed.

    **What is believed.** A name is Lattice's if it has addresses and all of them are in
    169.254.171.0/24, fd00:ec2:80::/64 or ``networks``. A CNAME proves nothing: the owner of a zone
    can write any, and a resolver can return any address for it. A name with one address elsewhere
    is not Lattice's and gets no signature. Lattice's ranges are link-local and unique-local, so a
    false answer can send a call to Lattice, where its Host selects the service, and nowhere else. A
    CNAME to a managed name gives ``managed_name`` and the region, which makes the signature useless
    elsewhere. Host is kept, unless ``host="managed"``: then the owner of a friendly name's DNS
    chooses which of Lattice's services is called with your signature. Use Route 53 or VPC Lattice
    as the source where that matters.

    A resolver may answer this source differently from the HTTP library, which resolves the name
    again: because it lies, or because it answers by weights while a name moves to Lattice. TLS
    protects from the first, ``connect="address"`` from both.

    An alias in Route 53 shows no CNAME, so its region is unknown here; a later source may know it.
    """

    _via: Via = "system"
    _nameservers: tuple[tuple[str, int], ...] = ()

    def __init__(
        self,
        *,
        via: Via | None = None,
        nameservers: Iterable[str] = (),
        timeout: float = 2.0,
        ttl: float = 30.0,
        networks: Iterable[str] = (),
        connect: Connect = "name",
        host: AliasHost = "kept",
    ) -> None:
        if isinstance(nameservers, str) or isinstance(networks, str):
            raise ConfigurationError("nameservers and networks are lists of addresses")
        self._nameservers = tuple(map(_nameserver, nameservers))
        self._via = via or ("dnspython" if self._nameservers else "system")
        if self._via not in get_args(Via):
            raise ConfigurationError(f"via must be 'system' or 'dnspython', not {via!r}")
        if self._nameservers and self._via == "system":
            raise ConfigurationError("nameservers go with via='dnspython'")
        if not (timeout > 0 and ttl > 0):
            raise ConfigurationError(f"timeout and ttl are seconds, not {timeout!r} and {ttl!r}")
        if connect not in get_args(Connect):
            raise ConfigurationError(f"connect must be 'name' or 'address', not {connect!r}")
        check_alias_host(host)
        self._timeout = timeout
        self._ttl = ttl
        self._networks = (*LATTICE_NETWORKS, *map(_network, networks))
        self._connects_to_address = connect == "address"
        self._host: AliasHost = host

    def __repr__(self) -> str:
        return f"DnsNames(via={self._via!r}, nameservers={list(self._nameservers)})"

    def find(self, name: str, now: float) -> Endpoint | None:
        answer = self._look_up(name)
        if not answer.addresses:
            return None
        expires_at = self._expires_at(answer, now)
        foreign = foreign_address(answer.addresses, self._networks)
        found = Endpoint(name, source="DNS", expires_at=expires_at)
        managed = managed_endpoint(answer.canonical)
        if foreign:
            why = f"DNS: {foreign} is not an address of Lattice's"
            found = found._replace(source=why, is_lattice=False)
        elif managed is not None and managed.is_lattice:
            host = name if self._host == "kept" else managed.host
            found = managed._replace(host=host, source="DNS", expires_at=expires_at)
        return found._replace(connect_to=self._connect_to(answer))

    def confirm(self, name: str, found: Endpoint, now: float) -> Endpoint:  # noqa: ARG002
        """Another source's answer, with ``is_lattice=False`` if the name leads elsewhere.

        An answer with ``connect_to`` is not checked: the user chose that address.
        """
        if found.connect_to is not None:
            return found
        answer = self._look_up(found.host)
        foreign = foreign_address(answer.addresses, self._networks)
        if not answer.addresses:
            foreign = "nothing"
        return found._replace(
            connect_to=self._connect_to(answer),
            expires_at=earlier(found.expires_at, self._expires_at(answer, now)),
            is_lattice=not foreign,
            source=f"{found.source}; DNS"
            if not foreign
            else f"{found.source}; but DNS: {foreign} is not an address of Lattice's",
        )

    def _expires_at(self, answer: _Answer, now: float) -> float:
        return now + (self._ttl if answer.ttl is None else answer.ttl)

    def _connect_to(self, answer: _Answer) -> str | None:
        if not self._connects_to_address or not answer.addresses:
            return None
        first = answer.addresses[0]
        return f"[{first}]" if ":" in first else first

    def _look_up(self, name: str) -> _Answer:
        return self._query_system(name) if self._via == "system" else self._query_servers(name)

    # The operating system.

    def _query_system(self, name: str) -> _Answer:
        try:
            found = socket.getaddrinfo(
                name, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
            )
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                return _Answer(name, (), None)
            raise NameSourceError(f"DNS: {name}: {error.strerror}") from None
        except (OSError, UnicodeError) as error:
            raise NameSourceError(f"DNS: {name}: {type(error).__name__}") from None
        canonical = next((entry[3] for entry in found if entry[3]), name)
        addresses = tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        return _Answer(canonical.lower().removesuffix("."), addresses, None)

    # Name servers.

    def _query_servers(self, name: str) -> _Answer:
        """Query both address families. If one query fails, the other's answer is used."""
        resolver = self._resolver()
        addresses: list[str] = []
        ttls: list[float] = []
        failure: NameSourceError | None = None
        canonical = name
        for kind in ("A", "AAAA"):
            try:
                answer = self._follow_chain(resolver, name, kind)
            except NameSourceError as error:
                failure = failure or error
                continue
            if answer.addresses:
                canonical = answer.canonical
                addresses += answer.addresses
                ttls.append(answer.ttl or 0.0)
        if failure is not None and not addresses:
            raise failure
        return _Answer(canonical, tuple(addresses), min(ttls, default=0.0))

    def _follow_chain(self, resolver: Any, name: str, kind: str) -> _Answer:
        """Query to the end of the chain. A resolver follows CNAMEs by itself; an authoritative
        server does not leave its zones."""
        import dns.exception
        import dns.resolver

        ttl = float("inf")
        seen = {name}
        current = name
        while True:
            try:
                answer = resolver.resolve(current, kind, raise_on_no_answer=False, search=False)
            except dns.resolver.NXDOMAIN:
                return _Answer(current, (), None)
            except (dns.exception.DNSException, OSError) as error:
                raise NameSourceError(f"DNS: {name} {kind}: {_first_line(error)}") from None
            chain = answer.chaining_result
            ttl = min(ttl, chain.minimum_ttl)
            canonical = chain.canonical_name.to_text(omit_final_dot=True).lower()
            if answer.rrset is not None or canonical == current:
                found = [record.address for record in answer.rrset or ()]
                return _Answer(canonical, tuple(found), ttl)
            if canonical in seen or len(seen) > _MAX_CHAIN:
                raise NameSourceError(f"DNS: {name} {kind}: the chain of CNAMEs has no end")
            seen.add(canonical)
            current = canonical

    def _resolver(self) -> Any:
        try:
            import dns.nameserver
            import dns.resolver
        except ModuleNotFoundError as error:
            if error.name not in ("dns", "dns.nameserver"):
                raise
            raise MissingExtraError("dns", "dnspython") from None
        resolver = dns.resolver.Resolver(configure=not self._nameservers)
        if self._nameservers:
            resolver.nameservers = [
                dns.nameserver.Do53Nameserver(address, port) for address, port in self._nameservers
            ]
        resolver.timeout = min(resolver.timeout, self._timeout)
        resolver.lifetime = self._timeout
        return resolver


# The errors for a name that does not exist or has no address; any other is a failure.
_NO_SUCH_NAME = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}


def _first_line(error: BaseException) -> str:
    """The message of dnspython, which contains only names and addresses."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


_WITH_PORT = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?", re.IGNORECASE)


def _nameserver(text: str) -> tuple[str, int]:
    found = _WITH_PORT.fullmatch(text)
    address, port = (found[1] or found[2], found[3] or "53") if found else (text, "53")
    try:
        return str(ip_address(address)), int(port)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is not an address of a name server, such as 10.0.0.2 or [fd00:ec2::253]:53"
        ) from None


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} in networks is not a network: {error}") from None
