"""Which addresses are those of hosts in the public Internet."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(  # beyond what `ipaddress` knows in every Python that we run on
    ipaddress.ip_network(text)
    for text in (
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # what a cloud tells its own machines
        "2001::/23",  # Teredo and other protocols
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of a host in the public Internet.

    Those of private networks, this machine, links, multicast and reserved ranges are not, also when
    an IPv6 address stands for one of them (mapped, 6to4, NAT64).
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST6:
            return False
    special = address.is_multicast or address.is_reserved or not address.is_global
    return not special and not any(address in network for network in _NOT_PUBLIC)
