//! Which addresses may be dialled (X8): a gateway that dials what callers name must not become a way into its
//! own machine or link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Allowed networks and ports.
///
/// By default every address but loopback and link-local ones; a list of networks replaces that default. Loopback
/// and link-local addresses are allowed only by a network that lies within those ranges, so `0.0.0.0/0` does not
/// open `127.0.0.1`. Unspecified, multicast and broadcast addresses are never allowed: no device lives there, and
/// `0.0.0.0` reaches loopback. An IPv6 address that stands for an IPv4 one (mapped, compatible, 6to4, NAT64) is
/// judged as that IPv4 address too.
#[derive(Clone, Debug, Default)]
pub struct NetworkPolicy {
    networks: Option<Vec<IpNet>>,
    ports: Vec<RangeInclusive<u16>>,
}

impl NetworkPolicy {
    /// Allows the given networks; an empty list of ports means all of them.
    pub fn new(networks: Vec<IpNet>, ports: Vec<RangeInclusive<u16>>) -> Self {
        Self {
            networks: Some(networks),
            ports,
        }
    }

    /// The default networks with a list of ports of their own; empty means all ports.
    pub fn with_ports(ports: Vec<RangeInclusive<u16>>) -> Self {
        Self {
            networks: None,
            ports,
        }
    }

    /// Whether this address and port may be dialled.
    pub fn allows(&self, address: IpAddr, port: u16) -> bool {
        self.allows_port(port) && self.allows_address(address)
    }

    /// Whether this port may be dialled, wherever.
    pub fn allows_port(&self, port: u16) -> bool {
        port != 0 && (self.ports.is_empty() || self.ports.iter().any(|range| range.contains(&port)))
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        // 6to4 and NAT64 lead to the embedded address, so both must be allowed.
        if let IpAddr::V6(v6) = address
            && let Some(v4) = embedded(v6)
            && !self.allows_plain(IpAddr::V4(v4))
        {
            return false;
        }
        self.allows_plain(address)
    }

    fn allows_plain(&self, address: IpAddr) -> bool {
        if never(address) {
            return false;
        }
        let guarded = guarded_range(address);
        match &self.networks {
            None => guarded.is_none(),
            Some(networks) => networks.iter().any(|network| {
                network.contains(&address) && guarded.is_none_or(|range| range.contains(network))
            }),
        }
    }
}

/// Addresses that are no device's.
fn never(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
    }
}

/// The range that has to be named for this address, if it lies in one.
fn guarded_range(address: IpAddr) -> Option<IpNet> {
    let ranges = [
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
        IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
            10,
        )),
    ];
    ranges.into_iter().find(|range| range.contains(&address))
}

/// The IPv4 address inside an IPv4-compatible (RFC 4291 section 2.5.5.1), 6to4 (RFC 3056) or NAT64 (RFC 6052)
/// address. Mapped ones are already IPv4 here.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(policy: &NetworkPolicy, address: &str) -> bool {
        policy.allows(address.parse().unwrap(), 830)
    }

    fn networks(list: &[&str]) -> NetworkPolicy {
        NetworkPolicy::new(list.iter().map(|n| n.parse().unwrap()).collect(), Vec::new())
    }

    /// X8
    #[test]
    fn default_denies_loopback_link_local_and_their_disguises() {
        let policy = NetworkPolicy::default();
        for denied in [
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.1.1",
            "::ffff:0.0.0.0",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::",
            "fe80::1",
            "febf::1",
            "ff02::1",
        ] {
            assert!(!allows(&policy, denied), "{denied}");
        }
        for allowed in [
            "10.0.0.1",
            "192.168.1.1",
            "203.0.113.9",
            "2001:db8::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(allows(&policy, allowed), "{allowed}");
        }
    }

    /// X8
    #[test]
    fn loopback_must_be_named() {
        let all = networks(&["0.0.0.0/0", "::/0"]);
        assert!(allows(&all, "10.1.2.3"));
        assert!(!allows(&all, "127.0.0.1"));
        assert!(!allows(&all, "::1"));
        let demo = networks(&["127.0.0.0/8", "::1/128"]);
        assert!(allows(&demo, "127.0.0.1"));
        assert!(allows(&demo, "::ffff:127.0.0.1"));
        assert!(allows(&demo, "::1"));
        assert!(!allows(&demo, "10.0.0.1"), "a list replaces the default");
        assert!(!allows(&networks(&["0.0.0.0/32"]), "0.0.0.0"));
    }

    /// X8
    #[test]
    fn ports_can_be_limited() {
        let address = "10.0.0.1".parse().unwrap();
        assert!(!NetworkPolicy::default().allows(address, 0));
        let policy = NetworkPolicy::with_ports(vec![22..=22, 830..=831]);
        assert!(policy.allows(address, 831));
        assert!(!policy.allows(address, 80));
    }
}
