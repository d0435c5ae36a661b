//! How XML becomes JSON: the choices a caller has.

use std::collections::BTreeSet;

use super::hints::HintTable;

/// The form of the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Our own, rules N1 to N11.
    Ncj,
    /// What a Junos device prints for `display json`, rules J1 to J10.
    Junos,
}

/// Which single children become arrays (N6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrays {
    /// Those in the hint table.
    Hints,
    /// Every child.
    All,
    /// Those in the hint table, and children with one of these local names.
    Named(BTreeSet<String>),
}

/// All choices together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The form of the JSON.
    pub mapping: Mapping,
    /// Which single children become arrays.
    pub arrays: Arrays,
    /// `text=exact`: the newlines around wrapped text stay (N3).
    pub exact_text: bool,
    /// `ns=on`: namespaces and display hints are shown (N8).
    pub namespaces: bool,
    /// `comments=on` (N10). In the device's form they are there always: [`Self::shows_comments`]. All leaves that are
    /// longer than 64 KiB may have 8 MiB of them together; more are an error.
    pub comments: bool,
    /// The hint table.
    pub hints: HintTable,
}

impl Options {
    /// What the API answers with unless asked otherwise.
    pub fn api_default() -> Self {
        Options {
            mapping: Mapping::Ncj,
            arrays: Arrays::Hints,
            exact_text: false,
            namespaces: false,
            comments: false,
            hints: HintTable::latest(),
        }
    }

    /// What `convert` does unless asked otherwise: nothing is lost.
    pub fn convert_default() -> Self {
        Options {
            namespaces: true,
            ..Options::api_default()
        }
    }

    /// Whether comments are shown: where they are asked for (N10), and always in the device's form, which has them as
    /// strings of its own (J6).
    pub fn shows_comments(&self) -> bool {
        match self.mapping {
            Mapping::Ncj => self.comments,
            Mapping::Junos => true,
        }
    }

    /// The mapping as it is named in answers: form, version, hint table.
    pub fn label(&self) -> String {
        match self.mapping {
            Mapping::Ncj => format!("ncj/1;hints={}", self.hints.label()),
            // Every child is an array, so no table has a say.
            Mapping::Junos => "junos/1".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N6
    #[test]
    fn the_label_names_the_table() {
        assert_eq!(Options::api_default().label(), "ncj/1;hints=junos-24.4.1");
        assert_eq!(
            Options {
                mapping: Mapping::Junos,
                ..Options::api_default()
            }
            .label(),
            "junos/1"
        );
    }
}
