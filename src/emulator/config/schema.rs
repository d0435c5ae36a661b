//! The statements that the emulated device knows: one data table, and the tree built from it.
//!
//! Every rendering (XML, curly text, set commands, JSON), every parser and every check reads this table; a new
//! statement is one line here and nothing else. The table order is the order in which a device shows statements.

use std::sync::LazyLock;

/// What a statement holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Other statements; goes away with its last child.
    Container,
    /// Other statements; means something when it is empty, too (`ssh;`).
    Presence,
    /// Entries told apart by the named key leaf.
    List {
        /// Name of the key leaf in XML.
        key: &'static str,
    },
    /// One value.
    Leaf,
    /// Any number of values.
    LeafList,
    /// Nothing: its being there is all it says.
    Flag,
}

/// How curly text and set commands show a statement, where that is not the plain way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `name value;` or `name { … }`.
    Plain,
    /// The statement's own name is left out (`ge-0/0/0 { … }` under `interfaces`).
    Unnamed,
    /// All entries of the list share one block (`name-server { 192.0.2.1; 192.0.2.2; }`).
    Grouped,
    /// The name stands before each child instead of around them (`family inet { … }`).
    Prefix,
    /// Without braces as long as there is one value inside (`then accept;`).
    OneLine,
}

/// A line of the table.
struct Row {
    path: &'static str,
    kind: Kind,
    style: Style,
    mandatory: bool,
}

const fn row(path: &'static str, kind: Kind, style: Style) -> Row {
    Row {
        path,
        kind,
        style,
        mandatory: false,
    }
}
/// A statement without which the one around it cannot be committed.
const fn must(row: Row) -> Row {
    Row {
        mandatory: true,
        ..row
    }
}
const fn container(path: &'static str) -> Row {
    row(path, Kind::Container, Style::Plain)
}
const fn presence(path: &'static str) -> Row {
    row(path, Kind::Presence, Style::Plain)
}
const fn list(path: &'static str) -> Row {
    row(path, Kind::List { key: "name" }, Style::Plain)
}
const fn unnamed(path: &'static str) -> Row {
    row(path, Kind::List { key: "name" }, Style::Unnamed)
}
const fn prefix(path: &'static str) -> Row {
    row(path, Kind::Container, Style::Prefix)
}
const fn grouped(path: &'static str) -> Row {
    row(path, Kind::List { key: "name" }, Style::Grouped)
}
const fn leaf(path: &'static str) -> Row {
    row(path, Kind::Leaf, Style::Plain)
}
const fn leaf_list(path: &'static str) -> Row {
    row(path, Kind::LeafList, Style::Plain)
}
const fn flag(path: &'static str) -> Row {
    row(path, Kind::Flag, Style::Plain)
}

/// `groups` holds the whole hierarchy again, and every hierarchy level may name groups to inherit from.
const GROUPS: &str = "groups";
/// Statement that names the groups a level inherits from.
pub const APPLY_GROUPS: &str = "apply-groups";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    leaf("version"),
    grouped(GROUPS),
    leaf_list(APPLY_GROUPS),

    container("system"),
    leaf("system/host-name"),
    leaf("system/domain-name"),
    leaf("system/time-zone"),
    container("system/root-authentication"),
    leaf("system/root-authentication/encrypted-password"),
    grouped("system/name-server"),
    container("system/login"),
    leaf("system/login/message"),
    list("system/login/class"),
    leaf("system/login/class/idle-timeout"),
    leaf_list("system/login/class/permissions"),
    list("system/login/user"),
    leaf("system/login/user/full-name"),
    leaf("system/login/user/uid"),
    must(leaf("system/login/user/class")),
    container("system/login/user/authentication"),
    leaf("system/login/user/authentication/encrypted-password"),
    container("system/services"),
    presence("system/services/ssh"),
    leaf("system/services/ssh/root-login"),
    leaf_list("system/services/ssh/protocol-version"),
    leaf("system/services/ssh/connection-limit"),
    container("system/services/netconf"),
    presence("system/services/netconf/ssh"),
    leaf("system/services/netconf/ssh/port"),
    leaf("system/services/netconf/ssh/connection-limit"),
    flag("system/services/netconf/rfc-compliant"),
    container("system/syslog"),
    list("system/syslog/user"),
    row("system/syslog/user/contents", Kind::List { key: "name" }, Style::Unnamed),
    flag("system/syslog/user/contents/any"),
    flag("system/syslog/user/contents/emergency"),
    flag("system/syslog/user/contents/alert"),
    flag("system/syslog/user/contents/critical"),
    flag("system/syslog/user/contents/error"),
    flag("system/syslog/user/contents/warning"),
    flag("system/syslog/user/contents/notice"),
    flag("system/syslog/user/contents/info"),
    flag("system/syslog/user/contents/none"),
    list("system/syslog/host"),
    row("system/syslog/host/contents", Kind::List { key: "name" }, Style::Unnamed),
    flag("system/syslog/host/contents/any"),
    flag("system/syslog/host/contents/emergency"),
    flag("system/syslog/host/contents/alert"),
    flag("system/syslog/host/contents/critical"),
    flag("system/syslog/host/contents/error"),
    flag("system/syslog/host/contents/warning"),
    flag("system/syslog/host/contents/notice"),
    flag("system/syslog/host/contents/info"),
    flag("system/syslog/host/contents/none"),
    leaf("system/syslog/host/source-address"),
    list("system/syslog/file"),
    row("system/syslog/file/contents", Kind::List { key: "name" }, Style::Unnamed),
    flag("system/syslog/file/contents/any"),
    flag("system/syslog/file/contents/emergency"),
    flag("system/syslog/file/contents/alert"),
    flag("system/syslog/file/contents/critical"),
    flag("system/syslog/file/contents/error"),
    flag("system/syslog/file/contents/warning"),
    flag("system/syslog/file/contents/notice"),
    flag("system/syslog/file/contents/info"),
    flag("system/syslog/file/contents/none"),
    container("system/configuration-database"),
    container("system/configuration-database/ephemeral"),
    list("system/configuration-database/ephemeral/instance"),
    container("system/ntp"),
    list("system/ntp/server"),
    flag("system/ntp/server/prefer"),

    container("chassis"),
    container("chassis/aggregated-devices"),
    container("chassis/aggregated-devices/ethernet"),
    must(leaf("chassis/aggregated-devices/ethernet/device-count")),

    container("interfaces"),
    unnamed("interfaces/interface"),
    leaf("interfaces/interface/description"),
    flag("interfaces/interface/disable"),
    flag("interfaces/interface/vlan-tagging"),
    leaf("interfaces/interface/mtu"),
    leaf("interfaces/interface/encapsulation"),
    container("interfaces/interface/gigether-options"),
    flag("interfaces/interface/gigether-options/no-auto-negotiation"),
    row("interfaces/interface/gigether-options/ieee-802.3ad", Kind::Container, Style::OneLine),
    row("interfaces/interface/gigether-options/ieee-802.3ad/bundle", Kind::Leaf, Style::Unnamed),
    container("interfaces/interface/aggregated-ether-options"),
    leaf("interfaces/interface/aggregated-ether-options/minimum-links"),
    container("interfaces/interface/aggregated-ether-options/lacp"),
    flag("interfaces/interface/aggregated-ether-options/lacp/active"),
    leaf("interfaces/interface/aggregated-ether-options/lacp/periodic"),
    list("interfaces/interface/unit"),
    leaf("interfaces/interface/unit/description"),
    flag("interfaces/interface/unit/disable"),
    leaf("interfaces/interface/unit/vlan-id"),
    prefix("interfaces/interface/unit/family"),
    presence("interfaces/interface/unit/family/inet"),
    leaf("interfaces/interface/unit/family/inet/mtu"),
    container("interfaces/interface/unit/family/inet/filter"),
    row("interfaces/interface/unit/family/inet/filter/input", Kind::Container, Style::OneLine),
    row("interfaces/interface/unit/family/inet/filter/input/filter-name", Kind::Leaf, Style::Unnamed),
    row("interfaces/interface/unit/family/inet/filter/output", Kind::Container, Style::OneLine),
    row("interfaces/interface/unit/family/inet/filter/output/filter-name", Kind::Leaf, Style::Unnamed),
    list("interfaces/interface/unit/family/inet/address"),
    flag("interfaces/interface/unit/family/inet/address/primary"),
    flag("interfaces/interface/unit/family/inet/address/preferred"),
    presence("interfaces/interface/unit/family/inet6"),
    list("interfaces/interface/unit/family/inet6/address"),
    presence("interfaces/interface/unit/family/iso"),
    presence("interfaces/interface/unit/family/mpls"),

    container("snmp"),
    leaf("snmp/location"),
    leaf("snmp/contact"),
    list("snmp/community"),
    leaf("snmp/community/authorization"),

    container("routing-options"),
    leaf("routing-options/router-id"),
    row("routing-options/autonomous-system", Kind::Container, Style::OneLine),
    row("routing-options/autonomous-system/as-number", Kind::Leaf, Style::Unnamed),
    container("routing-options/static"),
    row("routing-options/static/route", Kind::List { key: "name" }, Style::OneLine),
    leaf_list("routing-options/static/route/next-hop"),
    flag("routing-options/static/route/discard"),
    flag("routing-options/static/route/no-readvertise"),

    container("protocols"),
    container("protocols/bgp"),
    flag("protocols/bgp/log-updown"),
    list("protocols/bgp/group"),
    leaf("protocols/bgp/group/type"),
    leaf("protocols/bgp/group/description"),
    leaf("protocols/bgp/group/local-address"),
    leaf("protocols/bgp/group/hold-time"),
    leaf_list("protocols/bgp/group/import"),
    prefix("protocols/bgp/group/family"),
    container("protocols/bgp/group/family/inet"),
    presence("protocols/bgp/group/family/inet/unicast"),
    leaf("protocols/bgp/group/authentication-key"),
    leaf_list("protocols/bgp/group/export"),
    leaf("protocols/bgp/group/peer-as"),
    list("protocols/bgp/group/neighbor"),
    leaf("protocols/bgp/group/neighbor/description"),
    leaf_list("protocols/bgp/group/neighbor/import"),
    leaf_list("protocols/bgp/group/neighbor/export"),
    leaf("protocols/bgp/group/neighbor/peer-as"),
    container("protocols/ospf"),
    leaf_list("protocols/ospf/export"),
    leaf("protocols/ospf/reference-bandwidth"),
    list("protocols/ospf/area"),
    list("protocols/ospf/area/interface"),
    presence("protocols/ospf/area/interface/passive"),
    leaf("protocols/ospf/area/interface/interface-type"),
    leaf("protocols/ospf/area/interface/metric"),
    flag("protocols/ospf/area/interface/disable"),
    container("protocols/lldp"),
    list("protocols/lldp/interface"),

    container("policy-options"),
    list("policy-options/prefix-list"),
    unnamed("policy-options/prefix-list/prefix-list-item"),
    list("policy-options/policy-statement"),
    list("policy-options/policy-statement/term"),
    row("policy-options/policy-statement/term/from", Kind::Container, Style::OneLine),
    leaf_list("policy-options/policy-statement/term/from/protocol"),
    list("policy-options/policy-statement/term/from/prefix-list"),
    leaf_list("policy-options/policy-statement/term/from/community"),
    row("policy-options/policy-statement/term/from/route-filter", Kind::List { key: "address" }, Style::OneLine),
    flag("policy-options/policy-statement/term/from/route-filter/exact"),
    flag("policy-options/policy-statement/term/from/route-filter/orlonger"),
    row("policy-options/policy-statement/term/then", Kind::Container, Style::OneLine),
    leaf("policy-options/policy-statement/term/then/metric"),
    leaf("policy-options/policy-statement/term/then/local-preference"),
    flag("policy-options/policy-statement/term/then/accept"),
    flag("policy-options/policy-statement/term/then/reject"),
    row("policy-options/policy-statement/then", Kind::Container, Style::OneLine),
    flag("policy-options/policy-statement/then/accept"),
    flag("policy-options/policy-statement/then/reject"),
    list("policy-options/community"),
    must(leaf_list("policy-options/community/members")),

    container("firewall"),
    prefix("firewall/family"),
    container("firewall/family/inet"),
    list("firewall/family/inet/filter"),
    list("firewall/family/inet/filter/term"),
    container("firewall/family/inet/filter/term/from"),
    grouped("firewall/family/inet/filter/term/from/source-address"),
    grouped("firewall/family/inet/filter/term/from/destination-address"),
    leaf_list("firewall/family/inet/filter/term/from/protocol"),
    leaf_list("firewall/family/inet/filter/term/from/source-port"),
    leaf_list("firewall/family/inet/filter/term/from/destination-port"),
    row("firewall/family/inet/filter/term/then", Kind::Container, Style::OneLine),
    leaf("firewall/family/inet/filter/term/then/policer"),
    leaf("firewall/family/inet/filter/term/then/count"),
    flag("firewall/family/inet/filter/term/then/log"),
    flag("firewall/family/inet/filter/term/then/accept"),
    flag("firewall/family/inet/filter/term/then/discard"),
    list("firewall/policer"),
    container("firewall/policer/if-exceeding"),
    leaf("firewall/policer/if-exceeding/bandwidth-limit"),
    must(leaf("firewall/policer/if-exceeding/burst-size-limit")),
    row("firewall/policer/then", Kind::Container, Style::OneLine),
    flag("firewall/policer/then/discard"),
];

/// One statement of the hierarchy.
#[derive(Debug)]
pub struct Statement {
    /// Element name, which is also the keyword of text and set.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// How text shows it.
    pub style: Style,
    /// Whether the statement around it cannot be committed without it.
    pub mandatory: bool,
    /// Position among its siblings, the order in which a device shows them.
    pub order: usize,
    children: Vec<Statement>,
}

impl Statement {
    /// The statements below this one; those of the root for an entry of `groups`.
    pub fn children(&'static self) -> &'static [Statement] {
        if self.name == GROUPS {
            &root().children
        } else {
            &self.children
        }
    }

    /// The child statement of this name. `apply-groups` exists below every container and list.
    pub fn child(&'static self, name: &str) -> Option<&'static Statement> {
        let own = self.children().iter().find(|child| child.name == name);
        if own.is_none() && name == APPLY_GROUPS && self.holds_statements() {
            return root().children.iter().find(|child| child.name == APPLY_GROUPS);
        }
        own
    }

    /// The key leaf's name, of a list.
    pub fn key(&self) -> Option<&'static str> {
        match self.kind {
            Kind::List { key } => Some(key),
            Kind::Container | Kind::Presence | Kind::Leaf | Kind::LeafList | Kind::Flag => None,
        }
    }

    /// Whether statements stand below this one.
    pub fn holds_statements(&self) -> bool {
        match self.kind {
            Kind::Container | Kind::Presence | Kind::List { .. } => true,
            Kind::Leaf | Kind::LeafList | Kind::Flag => false,
        }
    }

    /// Whether a node of this statement carries a word of its own: a key or a value.
    pub fn takes_argument(&self) -> bool {
        match self.kind {
            Kind::List { .. } | Kind::Leaf | Kind::LeafList => true,
            Kind::Container | Kind::Presence | Kind::Flag => false,
        }
    }

    /// Whether several nodes of this statement may stand beside each other.
    pub fn repeats(&self) -> bool {
        match self.kind {
            Kind::List { .. } | Kind::LeafList => true,
            Kind::Container | Kind::Presence | Kind::Leaf | Kind::Flag => false,
        }
    }

    fn add(&mut self, path: &'static str, row: &Row) {
        match path.split_once('/') {
            Some((first, rest)) => {
                let parent = self.children.iter_mut().find(|child| child.name == first);
                // The test below holds the table to this: parents stand before their children.
                if let Some(parent) = parent {
                    parent.add(rest, row);
                }
            }
            None => {
                let order = self.children.len();
                self.children.push(Statement {
                    name: path,
                    kind: row.kind,
                    style: row.style,
                    mandatory: row.mandatory,
                    order,
                    children: Vec::new(),
                });
            }
        }
    }
}

/// The `configuration` element: the root of the hierarchy.
pub fn root() -> &'static Statement {
    static ROOT: LazyLock<Statement> = LazyLock::new(|| {
        let mut root = Statement {
            name: "configuration",
            kind: Kind::Container,
            style: Style::Plain,
            mandatory: false,
            order: 0,
            children: Vec::new(),
        };
        for row in TABLE {
            root.add(row.path, row);
        }
        root
    });
    &ROOT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(statements: &[Statement]) -> usize {
        statements
            .iter()
            .map(|statement| 1 + count(&statement.children))
            .sum()
    }

    /// Every row found its parent, and no path stands twice.
    #[test]
    fn the_table_becomes_one_tree_with_a_statement_per_row() {
        assert_eq!(count(&root().children), TABLE.len());
        let mut paths: Vec<_> = TABLE.iter().map(|row| row.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), TABLE.len());
    }

    #[test]
    fn groups_hold_the_whole_hierarchy_again() {
        let groups = root().child("groups").unwrap();
        assert_eq!(groups.child("system").unwrap().name, "system");
        assert!(groups.child("nonsense").is_none());
    }

    #[test]
    fn apply_groups_stands_at_every_level() {
        let interface = root().child("interfaces").unwrap().child("interface").unwrap();
        assert_eq!(interface.child(APPLY_GROUPS).unwrap().kind, Kind::LeafList);
        assert!(
            interface
                .child("description")
                .unwrap()
                .child(APPLY_GROUPS)
                .is_none()
        );
    }
}
