"""DNS: where a name leads, and whether that is Lattice."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any, Literal, NamedTuple, get_args

from lattice_client.errors import ConfigurationError, MissingExtraError, NameSourceError
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.lattice_addresses import LATTICE_NETWORKS, Network, stranger_among
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.source import AliasHost, check_alias_host, earlier

__all__ = ["DnsNames"]

Via = Literal["system", "dnspython"]
Connect = Literal["name", "address"]

# As many as resolvers follow, or a few more.
_LONGEST_CHAIN = 16


class Looked(NamedTuple):
    """What DNS says of a name: the last name of the chain, its addresses, and for how many seconds
    that holds (None: it does not say)."""

    canonical: str
    addresses: tuple[str, ...]
    ttl: float | None


class DnsNames:
    """The source that resolves a name, and calls it Lattice's if its addresses are.

    :param via: ``system`` asks the operating system, as the HTTP libraries do: it knows hosts files
        and search lists, but tells no TTL. ``dnspython`` (extra ``dns``) asks name servers.
    :param nameservers: addresses of those to ask, ``127.0.0.1`` or ``127.0.0.1:5353``, instead of
        the machine's; they go with dnspython alone, which is then the choice.
    :param timeout: seconds for each question to the name servers (dnspython; the system has its
        own).
    :param ttl: for how many seconds an answer holds that tells no TTL.
    :param networks: addresses that are Lattice's beside its own ranges. A service-network endpoint
        has addresses of your subnets: name those, as ``10.0.16.0/24``, and nothing more.
    :param connect: ``name`` leaves it to the HTTP library to resolve the name again, with its
        fallback from one family to the other. ``address``: connect to the first address of the
        answer that was judged, and no other.
    :param host: what becomes of Host where a CNAME leads to a managed name. ``kept``: Lattice knows
        the name, as a custom domain. ``managed``: it is an alias alone, and Host and SNI are the
        managed name.
    :raises ConfigurationError: for an argument that cannot work.
    :raises MissingExtraError: on the first look-up, where dnspython is wanted and not there.

    **What is believed.** A name is Lattice's if it has addresses and all of them are in
    169.254.171.0/24, fd00:ec2:80::/64 or ``networks``. No CNAME makes it so: whoever answers for
    a zone can write any, and whoever answers for a resolver can put any address behind it. One
    address elsewhere, and the name is not Lattice's: it gets no signature. Lattice's own ranges are
    link-local and unique-local, so a liar can send a call to Lattice, where its Host names the
    service, and nowhere else. From a CNAME to a managed name come the region, which makes a
    signature of no use elsewhere, and ``managed_name``; Host stays, unless ``host="managed"``: then
    whoever controls the DNS of a friendly name chooses which service of Lattice's is called, with
    your signature. Ask Route 53 or VPC Lattice instead where that matters.

    A resolver may tell this source one thing, and the HTTP library another when that resolves the
    name again: one that lies, or that answers by weights while a name moves to Lattice. TLS
    protects from the first, ``connect="address"`` from both.

    An alias in Route 53 shows no CNAME, so its region is not known: a later source may know.
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
        looked = self._look_up(name)
        if not looked.addresses:
            return None
        expires_at = self._end(looked, now)
        stranger = stranger_among(looked.addresses, self._networks)
        found = Endpoint(name, source="DNS", expires_at=expires_at)
        told = managed_endpoint(looked.canonical)
        if stranger:
            why = f"DNS: {stranger} is not an address of Lattice's"
            found = found._replace(source=why, is_lattice=False)
        elif told is not None and told.is_lattice:
            host = name if self._host == "kept" else told.host
            found = told._replace(host=host, source="DNS", expires_at=expires_at)
        return found._replace(connect_to=self._connect_to(looked))

    def confirm(self, name: str, found: Endpoint, now: float) -> Endpoint:  # noqa: ARG002
        """Whether what another source calls Lattice's also leads there.

        ``connect_to`` is somebody's decision, and not asked about.
        """
        if found.connect_to is not None:
            return found
        looked = self._look_up(found.host)
        stranger = stranger_among(looked.addresses, self._networks)
        if not looked.addresses:
            stranger = "nothing"
        return found._replace(
            connect_to=self._connect_to(looked),
            expires_at=earlier(found.expires_at, self._end(looked, now)),
            is_lattice=not stranger,
            source=f"{found.source}; DNS"
            if not stranger
            else f"{found.source}; but DNS: {stranger} is not an address of Lattice's",
        )

    def _end(self, looked: Looked, now: float) -> float:
        return now + (self._ttl if looked.ttl is None else looked.ttl)

    def _connect_to(self, looked: Looked) -> str | None:
        if not self._connects_to_address or not looked.addresses:
            return None
        first = looked.addresses[0]
        return f"[{first}]" if ":" in first else first

    def _look_up(self, name: str) -> Looked:
        return self._ask_system(name) if self._via == "system" else self._ask_servers(name)

    # The operating system.

    def _ask_system(self, name: str) -> Looked:
        try:
            found = socket.getaddrinfo(
                name, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
            )
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                return Looked(name, (), None)
            raise NameSourceError(f"DNS: {name}: {error.strerror}") from None
        except (OSError, UnicodeError) as error:
            raise NameSourceError(f"DNS: {name}: {type(error).__name__}") from None
        canonical = next((entry[3] for entry in found if entry[3]), name)
        addresses = tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        return Looked(canonical.lower().removesuffix("."), addresses, None)

    # Name servers.

    def _ask_servers(self, name: str) -> Looked:
        """Both families; where one gets no answer, the other's counts."""
        resolver = self._resolver()
        addresses: list[str] = []
        ttls: list[float] = []
        failure: NameSourceError | None = None
        canonical = name
        for kind in ("A", "AAAA"):
            try:
                looked = self._follow(resolver, name, kind)
            except NameSourceError as error:
                failure = failure or error
                continue
            if looked.addresses:
                canonical = looked.canonical
                addresses += looked.addresses
                ttls.append(looked.ttl or 0.0)
        if failure is not None and not addresses:
            raise failure
        return Looked(canonical, tuple(addresses), min(ttls, default=0.0))

    def _follow(self, resolver: Any, name: str, kind: str) -> Looked:
        """To the end of the chain; a resolver follows it by itself, an authoritative server does
        not leave its zones."""
        import dns.exception
        import dns.resolver

        ttl = float("inf")
        seen = {name}
        current = name
        while True:
            try:
                answer = resolver.resolve(current, kind, raise_on_no_answer=False, search=False)
            except dns.resolver.NXDOMAIN:
                return Looked(current, (), None)
            except (dns.exception.DNSException, OSError) as error:
                raise NameSourceError(f"DNS: {name} {kind}: {_told(error)}") from None
            chain = answer.chaining_result
            ttl = min(ttl, chain.minimum_ttl)
            canonical = chain.canonical_name.to_text(omit_final_dot=True).lower()
            if answer.rrset is not None or canonical == current:
                found = [record.address for record in answer.rrset or ()]
                return Looked(canonical, tuple(found), ttl)
            if canonical in seen or len(seen) > _LONGEST_CHAIN:
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


# What says that there is no such name, or none with an address; all else is a failure.
_NO_SUCH_NAME = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}


def _told(error: BaseException) -> str:
    """What went wrong, in dnspython's words, which hold names and addresses alone."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


_WITH_PORT = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?", re.IGNORECASE)


def _nameserver(text: str) -> tuple[str, int]:
    found = _WITH_PORT.fullmatch(text)
    address, port = (found[1] or found[2], found[3] or "53") if found else (text, "53")
    try:
        return str(ip_address(address)), int(port)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no address of a name server, as 10.0.0.2 or [fd00:ec2::253]:53"
        ) from None


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} in networks is no network: {error}") from None
