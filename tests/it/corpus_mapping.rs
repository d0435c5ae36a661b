//! The mapping held against a corpus of recorded device replies, which is not part of the repository: the folder is
//! named by `NCGATE_CORPUS`, or lies at `../shared/corpus`. Without it these tests say so and pass.

use std::path::{Path, PathBuf};

use ncgate::json::{Options, Selection, to_json};
use ncgate::xml::Source;
use serde_json::Value;

/// The corpus folder, or a loud message.
fn corpus(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NCGATE_CORPUS")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: {test}: no corpus at {} (set NCGATE_CORPUS)",
        folder.display()
    );
    None
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Also in order, which `Value` equality does not look at.
fn assert_same(found: &str, expected: &Value, what: &str) {
    assert_eq!(found, serde_json::to_string(expected).unwrap(), "{what}");
}

/// N1 to N10: the worked examples.
#[test]
fn worked_examples_come_out_exactly() {
    let Some(corpus) = corpus("worked examples") else {
        return;
    };
    for example in lines(&corpus.join("mapping/examples.jsonl")) {
        let xml = example["xml"].as_str().unwrap().to_owned();
        let json = to_json(
            &Source::from(xml),
            Selection::Document,
            &Options::convert_default(),
        )
        .unwrap();
        assert_same(&json, &example["json"], &example["title"].to_string());
    }
}

/// N1 to N10 on recorded replies.
#[test]
fn vectors_come_out_exactly() {
    let Some(corpus) = corpus("vectors") else { return };
    let mut failed = Vec::new();
    let vectors = lines(&corpus.join("mapping/vectors.jsonl"));
    for vector in &vectors {
        let file = vector["file"].as_str().unwrap();
        let xml = std::fs::read(corpus.join("replies").join(file)).unwrap();
        match to_json(
            &Source::Memory(xml.into()),
            Selection::Document,
            &Options::convert_default(),
        ) {
            Ok(json) if json == serde_json::to_string(&vector["json"]).unwrap() => {}
            other => failed.push(format!("{file}\n  {other:?}\n  {}", vector["json"])),
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} differ:\n{}",
        failed.len(),
        vectors.len(),
        failed.join("\n")
    );
}
