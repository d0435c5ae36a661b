//! Holds the source against the layer table of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names between backticks in `text`.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The allowed uses of each module; `app` may use everything and has no row of names.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            let module = quoted(cells[1]).pop_first().expect("a module name");
            (module, quoted(cells[2]))
        })
        .collect()
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The top-level modules that `text` names through `crate::`, tests and comments apart.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let mut modules = BTreeSet::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            if !name.is_empty() {
                modules.insert(name);
            }
        }
    }
    modules
}

#[test]
fn modules_use_only_what_their_layer_allows() {
    let table = table();
    let source = root().join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(files.len() > 50, "the walk found {} files only", files.len());

    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&source).expect("a file below src");
        let first = relative.iter().next().expect("a name").to_string_lossy();
        let module = first.trim_end_matches(".rs");
        if ["lib", "main", "app"].contains(&module)
            || relative.iter().any(|part| part == "tests" || part == "tests.rs")
        {
            continue;
        }
        let allowed = table
            .get(module)
            .unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for `{module}`"));
        for name in used(&fs::read_to_string(&file).expect("a readable file")) {
            if name != module && !allowed.contains(&name) {
                wrong.push(format!("{} uses crate::{name}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the layer table:\n{}", wrong.join("\n"));
}

#[test]
fn codec_knows_neither_sockets_nor_front_ends() {
    let mut files = Vec::new();
    for module in ["xml", "netconf", "json"] {
        rust_files(&root().join("src").join(module), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable file");
        for forbidden in ["tokio", "russh", "axum", "tonic", "sqlx", "std::net"] {
            let found = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.contains(&format!("{forbidden}::")));
            assert!(!found, "{} knows {forbidden}", file.display());
        }
    }
}

#[test]
fn service_layer_and_below_know_no_front_end() {
    let mut files = vec![root().join("src/pool.rs")];
    for module in ["service", "device", "pool", "session", "store", "transport"] {
        rust_files(&root().join("src").join(module), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable file");
        for forbidden in ["axum::", "tonic::", "http::", "hyper::"] {
            let found = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.contains(forbidden) && !line.contains("\"http::"));
            assert!(!found, "{} knows {forbidden}", file.display());
        }
    }
}
