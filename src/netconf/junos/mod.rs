//! The Junos XML protocol beside NETCONF.
