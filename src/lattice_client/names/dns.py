"""DNS: where a name leads, and whether that is VPC Lattice."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any, Literal, NamedTuple, get_args

from lattice_client.errors import ConfigurationError, MissingExtraError, NameSourceError
from lattice_client.names.endpoint import Endpoint, Reason, as_called_by_name
from lattice_client.names.lattice_addresses import (
    LATTICE_NETWORKS,
    Network,
    foreign_addresses,
    foreign_reason,
)
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.source import AliasHost, check_alias_host, earlier

__all__ = ["DnsNames"]

Via = Literal["system", "dnspython"]
Connect = Literal["auto", "name", "address"]

# As many CNAMEs as resolvers follow, or a few more.
_MAX_CHAIN = 16
# Of a socket for datagrams, to which nothing is sent.
_ANY_PORT = 9


class _Answer(NamedTuple):
    """One address family's answer: the last name of the CNAME chain, its addresses, and their TTL
    in seconds (None: unknown)."""

    canonical: str
    addresses: tuple[str, ...]
    ttl: float | None


class _Verdict(NamedTuple):
    """What the addresses of a name say.

    :param canonical: the last name of the CNAME chain that leads to them.
    :param addresses: those to connect to, which are all Lattice's or all not.
    :param foreign: the first address that is not Lattice's; empty if there is none.
    :param mixed: whether the name also has addresses that are judged otherwise.
    :param ttl: in seconds; None: unknown.
    """

    is_lattice: bool
    canonical: str
    addresses: tuple[str, ...]
    foreign: str
    mixed: bool
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
    :param connect: ``auto``: connect to the addresses of the checked answer where that is possible;
        where it is not (the hooks of requests, httpx and httpx2, proxies, transports of your own),
        by name. ``address``: connect to the first of them, and refuse where that is not possible.
        ``name``: let the HTTP library resolve the name again, always.
    :param host: the Host header if a CNAME leads to a managed name. ``kept``: the requested name,
        which Lattice knows as a custom domain. ``managed``: the name is only an alias, so Host and
        SNI become the managed name.
    :raises ConfigurationError: if an argument is invalid.
    :raises MissingExtraError: on the first look-up, if dnspython is needed and not installed.

    **What is believed.** A name is Lattice's if it has addresses and all of them are in
    169.254.171.0/24, fd00:ec2:80::/64 or ``networks``. Calls that connect to an address are judged
    by the family that they use: A and AAAA are record sets of their own, and one may lead elsewhere
    while a name moves. The family that the system prefers decides (name servers: A, unless only
    IPv6 has a route here); the other adds its addresses if it agrees. If the query for one family
    fails, the other decides. A CNAME proves nothing: the owner of a zone
    can write any, and a resolver can return any address for it. A name with one address elsewhere
    is not Lattice's and gets no signature. Lattice's ranges are link-local and unique-local, so a
    false answer can send a call to Lattice, where its Host selects the service, and nowhere else. A
    CNAME to a managed name gives ``managed_name`` and the region, which makes the signature useless
    elsewhere. Host is kept, unless ``host="managed"``: then the owner of a friendly name's DNS
    chooses which of Lattice's services is called with your signature. Use Route 53 or VPC Lattice
    as the source where that matters.

    A resolver may answer this source differently from an HTTP library that resolves the name again:
    because it lies, or because it answers by weights while a name moves to Lattice. TLS protects
    from the first, a connection to the address that was judged from both.

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
        connect: Connect = "auto",
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
            raise ConfigurationError(
                f"connect must be 'auto', 'name' or 'address', not {connect!r}"
            )
        check_alias_host(host)
        self._timeout = timeout
        self._ttl = ttl
        self._networks = (*LATTICE_NETWORKS, *map(_network, networks))
        self._connect: Connect = connect
        self._host: AliasHost = host

    def __repr__(self) -> str:
        return f"DnsNames(via={self._via!r}, nameservers={list(self._nameservers)})"

    def find(self, name: str, now: float) -> Endpoint | None:
        verdict = self._judge(name)
        if verdict is None:
            return None
        found = Endpoint(name, source="DNS", expires_at=self._expires_at(verdict, now))
        managed = managed_endpoint(verdict.canonical)
        if managed is not None and not managed.is_lattice:
            return found._replace(
                source=f"DNS: {managed.source}", is_lattice=False, reason=managed.reason
            )
        if verdict.is_lattice and managed is not None:
            host = name if self._host == "kept" else managed.host
            found = managed._replace(host=host, source="DNS", expires_at=found.expires_at)
        elif managed is not None:
            # An endpoint in a VPC, or a lie.
            found = found._replace(managed_name=managed.host)
        return as_called_by_name(name, self._with_verdict(found, "", verdict))

    def confirm(self, name: str, found: Endpoint, now: float) -> Endpoint:  # noqa: ARG002
        """Another source's answer, with ``is_lattice=False`` if the name leads elsewhere.

        An answer with ``connect_to`` is not checked: the user chose that address.
        """
        if found.connect_to is not None:
            return found
        verdict = self._judge(found.host)
        if verdict is None:
            why = f"{found.source}; but DNS: it leads nowhere"
            return found._replace(source=why, is_lattice=False, reason="disagreement")
        managed = managed_endpoint(verdict.canonical)
        if managed is not None and not managed.is_lattice:
            why = f"{found.source}; but DNS: {managed.source}"
            return found._replace(source=why, is_lattice=False, reason=managed.reason)
        expires_at = earlier(found.expires_at, self._expires_at(verdict, now))
        found = found._replace(expires_at=expires_at, source=f"{found.source}; DNS")
        return self._with_verdict(found, "but ", verdict)

    def _with_verdict(self, found: Endpoint, but: str, verdict: _Verdict) -> Endpoint:
        if verdict.foreign and not (verdict.is_lattice and self._connect == "address"):
            before = found.source.removesuffix("DNS")
            why = f"{before}{but}DNS: {verdict.foreign} is not an address of Lattice's"
            found = found._replace(source=why, reason=_reason(found, but, verdict))
        found = found._replace(is_lattice=verdict.is_lattice)
        # An address with a zone (fe80::1%eth0) cannot stand in a URL.
        addresses = tuple(
            f"[{each}]" if ":" in each else each for each in verdict.addresses if "%" not in each
        )
        if self._connect == "address":
            return found._replace(connect_to=next(iter(addresses), None))
        return found if self._connect == "name" else found._replace(addresses=addresses)

    def _expires_at(self, verdict: _Verdict, now: float) -> float:
        return now + (self._ttl if verdict.ttl is None else verdict.ttl)

    def _judge(self, name: str) -> _Verdict | None:
        """The verdict on a name; None if it has no address.

        The first family decides. It is Lattice's if all its addresses are; of a family that is not,
        those of Lattice's are left out, because they would be called unsigned.
        """
        answers = self._query_system(name) if self._via == "system" else self._query_servers(name)
        if not answers:
            return None
        foreign = [tuple(foreign_addresses(each.addresses, self._networks)) for each in answers]
        is_lattice = not (any(foreign) if self._connect == "name" else foreign[0])
        if is_lattice:
            agreeing = [each for each, strange in zip(answers, foreign, strict=True) if not strange]
            addresses = [address for each in agreeing for address in each.addresses]
        else:
            addresses = [address for each in foreign for address in each]
        ttls = [each.ttl for each in answers if each.ttl is not None]
        return _Verdict(
            is_lattice=is_lattice,
            canonical=answers[0].canonical,
            addresses=tuple(addresses),
            foreign=next((each[0] for each in foreign if each), ""),
            mixed=len(addresses) < sum(len(each.addresses) for each in answers),
            ttl=min(ttls, default=None),
        )

    # The operating system.

    def _query_system(self, name: str) -> list[_Answer]:
        """The answers in the order of the system, which puts addresses without a route last (RFC
        6724)."""
        try:
            found = socket.getaddrinfo(
                name, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
            )
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                return []
            raise NameSourceError(f"DNS: {name}: {error.strerror}") from None
        except (OSError, UnicodeError) as error:
            raise NameSourceError(f"DNS: {name}: {type(error).__name__}") from None
        canonical = next((entry[3] for entry in found if entry[3]), name).lower().removesuffix(".")
        by_family: dict[int, dict[str, None]] = {}
        for entry in found:
            by_family.setdefault(entry[0], {})[str(entry[4][0])] = None
        return [_Answer(canonical, tuple(each), None) for each in by_family.values()]

    # Name servers.

    def _query_servers(self, name: str) -> list[_Answer]:
        """Query both address families. If one query fails, the other's answer is used."""
        resolver = self._resolver()
        answers: list[_Answer] = []
        failure: NameSourceError | None = None
        for kind in ("A", "AAAA"):
            try:
                answer = self._follow_chain(resolver, name, kind)
            except NameSourceError as error:
                failure = failure or error
                continue
            if answer.addresses:
                answers.append(answer)
        if failure is not None and not answers:
            raise failure
        if len(answers) > 1:
            answers.sort(key=lambda each: not _has_route(each.addresses[0]))
        return answers

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


def _reason(found: Endpoint, but: str, verdict: _Verdict) -> Reason:
    """Why a name with a foreign address is not Lattice's.

    :param but: not empty if another source takes it for Lattice's.
    """
    if verdict.mixed:
        return "mixed addresses"
    if found.managed_name is not None:
        return "unlisted network"
    return "disagreement" if but else foreign_reason(verdict.foreign)


# The errors for a name that does not exist or has no address; any other is a failure.
_NO_SUCH_NAME = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}


def _has_route(address: str) -> bool:
    """Whether this machine has a route to an address. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _ANY_PORT))
    except OSError:
        return False
    return True


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
