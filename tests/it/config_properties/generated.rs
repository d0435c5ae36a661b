//! Configurations drawn by lot: such as mean something to a peer, and such as nearly do, or do not.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::model::{MODULE, PEERS, Peer};
use crate::support::written::Written;

fn word(text: &str) -> Written {
    Written::Text(text.to_owned())
}

fn object<const N: usize>(members: [(&str, Written); N]) -> Written {
    Written::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
}

fn text() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "a",
        "1",
        " ",
        "\n",
        "\t",
        "\r",
        "<",
        "&",
        ">",
        "\"",
        "'",
        "\\",
        "]]>]]>",
        "é",
        "\u{1f600}",
        "true",
    ]);
    prop::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

fn number() -> impl Strategy<Value = Written> {
    let digits = select(vec![
        "0",
        "-0",
        "0.10",
        "1E+400",
        "-1.5e-7",
        "1e5",
        "9007199254740993",
        "18446744073709551616",
        "0.1000000000000000000001",
    ]);
    digits.prop_map(|digits| Written::Number(digits.to_owned()))
}

fn leaf() -> impl Strategy<Value = Written> {
    prop_oneof![
        1 => Just(Written::Null),
        1 => Just(Written::Bool(true)),
        2 => number(),
        4 => text().prop_map(Written::Text),
    ]
}

/// Metadata that this peer takes.
fn metadata(peer: Peer) -> impl Strategy<Value = Written> {
    let mut all = vec![
        object([]),
        object([("x", word("a \"b\" <c>\n"))]),
        object([("x", Written::Number("1e5".to_owned())), ("y", word(""))]),
        object([("flag", Written::Bool(true))]),
        object([("junos:changed", word("changed")), ("xmlns", word("urn:a"))]),
        object([
            ("#comment", Written::List(vec![word("c")])),
            ("xml:lang", word("en")),
        ]),
        object([("operation", word("merge"))]),
        object([("operation", word("delete"))]),
        object([("nc:operation", word("remove"))]),
        object([("operation", word("replace")), ("x", word("y"))]),
        object([("delete", Written::Bool(true))]),
        object([("insert", word("last"))]),
    ];
    if peer.junos {
        all.extend([
            object([("inactive", Written::Bool(true))]),
            object([("operation", word("activate")), ("protect", word("protect"))]),
            object([("operation", word("rename")), ("name", word("n"))]),
            object([("insert", word("before")), ("name", word("n"))]),
        ]);
    } else {
        all.extend([
            object([("operation", word("create"))]),
            object([("insert", word("before")), ("key", word("[a='b']"))]),
            object([("yang:insert", word("after")), ("yang:value", word("v"))]),
        ]);
    }
    select(all)
}

/// The values of a member, each with its metadata.
#[derive(Debug, Clone)]
enum Values {
    Leaf(Written, Option<Written>),
    Leaves(Vec<(Written, Option<Written>)>),
    Node(Content),
    Nodes(Vec<Content>),
}

/// What stands in an element.
#[derive(Debug, Clone)]
struct Content {
    own: Option<Written>,
    members: Vec<(&'static str, Values)>,
    texts: Vec<String>,
    /// Draws the order, where it is not that of the members.
    order: Option<Vec<Index>>,
    /// Metadata stand before what they are about.
    before: bool,
}

impl Content {
    fn written(self) -> Written {
        let mut members = Vec::new();
        let mut entries = Vec::new();
        if let Some(own) = self.own {
            members.push(("@".to_owned(), own));
        }
        let alone = self.members.is_empty();
        for (name, values) in self.members {
            let (value, own, count) = match values {
                Values::Leaf(value, own) => (value, own, 1),
                Values::Node(content) => (content.written(), None, 1),
                Values::Leaves(leaves) => {
                    let count = leaves.len();
                    let owns: Vec<Written> = leaves
                        .iter()
                        .map(|(_, own)| own.clone().unwrap_or(Written::Null))
                        .collect();
                    let some = leaves.iter().any(|(_, own)| own.is_some());
                    let values = leaves.into_iter().map(|(value, _)| value).collect();
                    (Written::List(values), some.then_some(Written::List(owns)), count)
                }
                Values::Nodes(nodes) => {
                    let count = nodes.len();
                    let nodes = nodes.into_iter().map(Content::written).collect();
                    (Written::List(nodes), None, count)
                }
            };
            let own = own.map(|own| (format!("@{name}"), own));
            let value = (name.to_owned(), value);
            match self.before {
                true => members.extend(own.into_iter().chain([value])),
                false => members.extend([value].into_iter().chain(own)),
            }
            entries.extend(std::iter::repeat_n(name, count));
        }
        let has_texts = !self.texts.is_empty();
        if self.order.is_some() || has_texts && !alone {
            entries.extend(std::iter::repeat_n("#text", self.texts.len()));
            for draw in self.order.into_iter().flatten() {
                if !entries.is_empty() {
                    let (place, last) = (draw.index(entries.len()), entries.len() - 1);
                    entries.swap(place, last);
                }
            }
            let entries = entries.into_iter().map(word).collect();
            members.push(("#order".to_owned(), Written::List(entries)));
        }
        if has_texts {
            let texts = self.texts.into_iter().map(Written::Text).collect();
            members.push(("#text".to_owned(), Written::List(texts)));
        }
        Written::Object(members)
    }
}

const NAMES: [&str; 6] = ["name", "a", "b", "interface", "ieee-802.3ad", "m:c"];

fn members(values: impl Strategy<Value = Values>) -> impl Strategy<Value = Vec<(&'static str, Values)>> {
    prop::collection::vec((select(NAMES.to_vec()), values), 0..4).prop_map(|mut members| {
        let mut known = Vec::new();
        members.retain(|(name, _)| {
            let new = !known.contains(name);
            known.push(*name);
            new
        });
        members
    })
}

fn content(peer: Peer) -> impl Strategy<Value = Content> {
    let own = move || prop::option::weighted(0.4, metadata(peer));
    let leaves = move || {
        prop_oneof![
            3 => (leaf(), own()).prop_map(|(value, own)| Values::Leaf(value, own)),
            1 => prop::collection::vec((leaf(), own()), 0..4).prop_map(Values::Leaves),
        ]
    };
    let around = move |members: BoxedStrategy<Vec<(&'static str, Values)>>| {
        let texts = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(text(), 1..3)];
        let order = prop::option::weighted(0.3, prop::collection::vec(any::<Index>(), 3));
        let parts = (own(), members, texts, order, any::<bool>());
        parts.prop_map(|(own, members, texts, order, before)| Content {
            own,
            members,
            texts,
            order,
            before,
        })
    };
    around(members(leaves()).boxed()).prop_recursive(3, 16, 3, move |inner| {
        let nodes = prop::collection::vec(inner.clone(), 0..3).prop_map(Values::Nodes);
        let values = prop_oneof![2 => leaves(), 2 => inner.prop_map(Values::Node), 1 => nodes];
        around(members(values).boxed())
    })
}

/// A configuration that this peer can be sent: with the root that Junos has, without it, or in a namespace.
fn meant_for(peer: Peer) -> impl Strategy<Value = Written> {
    let wrapped = move |name: String| {
        content(peer).prop_map(move |content| Written::Object(vec![(name.clone(), content.written())]))
    };
    let named = wrapped(format!("{}:top", MODULE.0));
    if !peer.junos {
        return named.boxed();
    }
    // Text and names with a prefix do not stand at the top.
    let bare = content(peer).prop_filter_map("a root", |mut content| {
        content.members.retain(|(name, _)| *name != "m:c");
        content.texts.clear();
        let named = |own: &Written| own.pointer("/xmlns").is_some();
        content.own = content.own.filter(|own| !named(own));
        let written = content.written();
        // It is one, and is not told apart by a namespace.
        let Written::Object(members) = &written else {
            return None;
        };
        let roots = members.iter().filter(|(name, _)| !name.starts_with(['@', '#']));
        let is_bare = |value: &Written| match value {
            Written::List(items) => {
                !items.is_empty() && items.iter().all(|item| item.pointer("/@/xmlns").is_none())
            }
            value => value.pointer("/@/xmlns").is_none(),
        };
        let owns = members
            .iter()
            .filter(|(name, _)| name.len() > 1 && name.starts_with('@'));
        let mut owned = owns.flat_map(|(_, own)| match own {
            Written::List(owns) => owns.clone(),
            own => vec![own.clone()],
        });
        let all_bare = roots.clone().all(|(_, value)| is_bare(value)) && !owned.any(|own| named(&own));
        (roots.count() > 0 && all_bare).then_some(written)
    });
    prop_oneof![bare, wrapped("configuration".to_owned()), named].boxed()
}

/// A peer and what it can be sent.
pub fn meant() -> impl Strategy<Value = (Peer, Written)> {
    let any = select(PEERS.to_vec()).prop_flat_map(|peer| meant_for(peer).prop_map(move |json| (peer, json)));
    any.prop_filter("a configuration", |(peer, json)| !peer.says_nothing(json))
}

fn anything() -> impl Strategy<Value = Written> {
    let leaf = prop_oneof![
        6 => leaf(),
        1 => Just(Written::Bool(false)),
        1 => select(vec!["\u{0}", "\u{1b}", "\u{ffff}", "delete", "replace", "name", "#text"]).prop_map(word),
    ];
    let key = select(vec![
        "a",
        "b",
        "name",
        "m:c",
        "junos:x",
        "configuration",
        "@",
        "@",
        "@a",
        "@name",
        "#text",
        "#order",
        "#comment",
        "operation",
        "insert",
        "xmlns",
        "nc:operation",
        "inactive",
        "",
        "1",
        "a b",
        "a><b",
        "q:r",
        "]]>",
        "xmlns:p",
        "~/",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Written::List),
            3 => prop::collection::vec((key.clone().prop_map(str::to_owned), inner), 0..5).prop_map(Written::Object),
        ]
    })
}

/// One thing done to what means something.
fn spoilt(mut json: Written, place: Index, how: usize, with: Written) -> Written {
    let mut at = place.index(40);
    let Some(value) = json.nth(&mut at) else {
        return json;
    };
    match (how, value) {
        // A member is there twice, or another one comes to it.
        (0, Written::Object(members)) if !members.is_empty() => {
            let (name, _) = members[place.index(members.len())].clone();
            members.push((name, with));
        }
        (1, Written::Object(members)) => members.push(("@a".to_owned(), with)),
        (2, Written::Object(members)) if !members.is_empty() => {
            members.remove(place.index(members.len()));
        }
        (3, Written::List(items)) => items.push(with),
        (_, value) => *value = with,
    }
    json
}

/// A peer, and JSON that it can be sent, or nearly, or not.
pub fn any_json() -> impl Strategy<Value = (Peer, Written)> {
    let changes = prop::collection::vec((any::<Index>(), 0..5usize, anything()), 1..3);
    let nearly = (meant(), changes).prop_map(|((peer, json), changes)| {
        let spoil = |json, (place, how, with)| spoilt(json, place, how, with);
        (peer, changes.into_iter().fold(json, spoil))
    });
    prop_oneof![3 => nearly, 1 => (select(PEERS.to_vec()), anything())]
}
