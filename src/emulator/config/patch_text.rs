//! Changes written as curly text: what `load merge`, `replace`, `override` and `update` read, and the differences that
//! `load patch` reads.

use super::compare::banner;
use super::patch::{Act, Patch, Place};
use super::schema::{Kind, Statement, Style};
use super::set::{self, SetError, Step};
use crate::emulator::device_error::DeviceError;

/// How deep blocks may stand inside each other.
const DEPTH: usize = 100;

/// The patches that a text asks for below `statement`, and what was wrong with it.
pub fn patches(statement: &'static Statement, text: &str) -> (Vec<Patch>, Vec<DeviceError>) {
    let mut parser = Parser::new(text);
    let patches = parser.statements(statement, 0);
    (patches, parser.problems)
}

/// The patches of a difference as `compare` prints it: banners, and lines that are added or taken away.
pub fn differences(root: &'static Statement, text: &str) -> (Vec<Patch>, Vec<DeviceError>) {
    let mut all = Vec::new();
    let mut problems = Vec::new();
    let mut section = Section::default();
    for line in text.lines().chain(["[edit]"]) {
        let trimmed = line.trim_end();
        if let Some(level) = trimmed
            .strip_prefix("[edit")
            .and_then(|level| level.strip_suffix(']'))
        {
            let done = std::mem::replace(&mut section, Section::at(level));
            done.close(root, &mut all, &mut problems);
        } else if let Some(gone) = trimmed.strip_prefix('-') {
            section.gone.push_str(gone);
            section.gone.push('\n');
        } else if let Some(come) = trimmed.strip_prefix('+') {
            section.come.push_str(come);
            section.come.push('\n');
        } else if let Some(switched) = trimmed.strip_prefix('!') {
            let above = std::mem::take(&mut section.above);
            section.switched.push((switched.replace("{ ... }", ";"), above));
        } else if trimmed.starts_with(' ') {
            section.above = trimmed.replace("{ ... }", ";");
        } else if !trimmed.is_empty() {
            problems.push(DeviceError::syntax(trimmed));
        }
    }
    (all, problems)
}

/// What stands below one banner.
#[derive(Default)]
struct Section {
    path: Vec<String>,
    gone: String,
    come: String,
    /// Lines with a `!`, and the line above each that says what it follows now.
    switched: Vec<(String, String)>,
    above: String,
}

impl Section {
    fn at(level: &str) -> Self {
        Self {
            path: level.split_whitespace().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    fn close(self, root: &'static Statement, all: &mut Vec<Patch>, problems: &mut Vec<DeviceError>) {
        let line = self.path.join(" ");
        let mut steps = match set::paths(root, &self.path, &line) {
            Ok(mut paths) => paths.pop().unwrap_or_default(),
            Err(error) => {
                problems.push(error.to_device_error());
                return;
            }
        };
        // `[edit system name-server]` is the level of the entries of a list.
        let list = steps.pop_if(|(statement, argument)| argument.is_none() && statement.key().is_some());
        let statement = steps.last().map_or(root, |(statement, _)| *statement);
        let mut read = |text: &str| {
            let mut parser = Parser::new(text);
            let patches = match &list {
                Some((list, _)) => parser.entries(list, &Head::default(), 0),
                None => parser.statements(statement, 0),
            };
            problems.append(&mut parser.problems);
            patches
        };
        let mut changes = read(&self.gone);
        changes.iter_mut().for_each(take_away);
        changes.extend(read(&self.come));
        for (switched, above) in &self.switched {
            // What is switched is named in full, at the level of a list, too.
            let (switches, _) = patches(statement, switched);
            let (above, _) = patches(statement, above);
            let after = above.first().and_then(|above| above.argument.clone());
            for switch in switches {
                let mut switch = only_switch(switch);
                if switch.inactive.is_none() && switch.protect.is_none() {
                    switch.place = Some(after.clone().map_or(Place::First, Place::After));
                }
                changes.push(switch);
            }
        }
        for change in changes {
            all.push(nest(&steps, change));
        }
    }
}

/// Makes of what a text would add its deletion: of the outermost statement that is one.
fn take_away(patch: &mut Patch) {
    if patch.statement.style == Style::Prefix {
        patch.act = Act::Touch;
        patch.children.iter_mut().for_each(take_away);
    } else {
        patch.act = Act::Delete;
        patch.children.clear();
    }
}

/// The same without adding anything: the switches alone.
fn only_switch(mut patch: Patch) -> Patch {
    patch.act = Act::Touch;
    patch.children = patch.children.into_iter().map(only_switch).collect();
    patch
}

/// A patch at the end of a path.
fn nest(steps: &[Step], patch: Patch) -> Patch {
    let act = if adds(&patch) { Act::Merge } else { Act::Touch };
    steps.iter().rev().fold(patch, |inner, (statement, argument)| {
        let mut outer = Patch::new(statement, argument.clone(), act);
        outer.children.push(inner);
        outer
    })
}

/// Whether the patch makes what is not there.
fn adds(patch: &Patch) -> bool {
    match patch.act {
        Act::Merge | Act::Replace | Act::Create => true,
        Act::Delete | Act::Remove => false,
        Act::Touch => patch.children.iter().any(adds),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// A word in quotation marks, which is no keyword.
    Quoted(String),
    Open,
    Close,
    End,
}

struct Parser {
    tokens: std::vec::IntoIter<Token>,
    path: Vec<String>,
    problems: Vec<DeviceError>,
}

/// The words before `;` or `{`, and what they carry in front.
#[derive(Default)]
struct Head {
    words: Vec<String>,
    act: Act,
    inactive: Option<bool>,
    protect: Option<bool>,
}

impl Head {
    /// Takes a word in front of a statement as what it says, and tells whether it is one.
    fn flag(&mut self, word: &str) -> bool {
        match word {
            "inactive:" => self.inactive = Some(true),
            "active:" => self.inactive = Some(false),
            "protect:" => self.protect = Some(true),
            "unprotect:" => self.protect = Some(false),
            "replace:" => self.act = Act::Replace,
            "delete:" => self.act = Act::Delete,
            _ => return false,
        }
        true
    }
}

impl Parser {
    fn new(text: &str) -> Self {
        let mut problems = Vec::new();
        let tokens = tokens(text).unwrap_or_else(|error| {
            problems.push(error);
            Vec::new()
        });
        Self {
            tokens: tokens.into_iter(),
            path: Vec::new(),
            problems,
        }
    }

    /// The statements up to the end of the block, or of the text where there is none around.
    fn statements(&mut self, parent: &'static Statement, depth: usize) -> Vec<Patch> {
        let mut patches = Vec::new();
        let mut head = Head::default();
        loop {
            match self.tokens.next() {
                Some(Token::Word(word)) if head.words.is_empty() && head.flag(&word) => {}
                Some(Token::Word(word) | Token::Quoted(word)) => head.words.push(word),
                Some(Token::End) => {
                    let head = std::mem::take(&mut head);
                    if !head.words.is_empty() {
                        patches.extend(self.leaf(parent, &head));
                    }
                }
                Some(Token::Open) => {
                    let head = std::mem::take(&mut head);
                    if depth == DEPTH {
                        self.wrong("statements are nested too deep", "{");
                        self.tokens = Vec::new().into_iter();
                        return patches;
                    }
                    patches.extend(self.block(parent, &head, depth));
                }
                Some(Token::Close) if depth == 0 => self.wrong("syntax error", "}"),
                Some(Token::Close) => {
                    if let Some(word) = head.words.last() {
                        let word = word.clone();
                        self.wrong("syntax error", &word);
                    }
                    return patches;
                }
                None => {
                    if depth > 0 || !head.words.is_empty() {
                        self.wrong("syntax error, unexpected end of input", "<end>");
                    }
                    return patches;
                }
            }
        }
    }

    /// `words;`
    fn leaf(&mut self, parent: &'static Statement, head: &Head) -> Vec<Patch> {
        match self.steps(parent, &head.words) {
            Some(paths) => paths
                .into_iter()
                .filter_map(|steps| chain(steps, head, Vec::new()))
                .collect(),
            None => Vec::new(),
        }
    }

    /// `words { … }`
    fn block(&mut self, parent: &'static Statement, head: &Head, depth: usize) -> Vec<Patch> {
        let steps = self
            .steps(parent, &head.words)
            .and_then(|mut paths| if paths.len() == 1 { paths.pop() } else { None });
        let Some(mut steps) = steps else {
            self.skip_block();
            return Vec::new();
        };
        let Some((statement, argument)) = steps.last().cloned() else {
            self.wrong("syntax error", "{");
            self.skip_block();
            return Vec::new();
        };
        if argument.is_none() && statement.kind != Kind::Leaf {
            // `name-server { 192.0.2.1; }`: what stands inside are its entries.
            steps.pop();
            let entries = self.entries(statement, head, depth);
            return entries.into_iter().map(|entry| nest(&steps, entry)).collect();
        }
        if !statement.holds_statements() {
            self.wrong("syntax error", "{");
            self.skip_block();
            return Vec::new();
        }
        let before = self.path.len();
        self.path.extend(head.words.iter().cloned());
        let children = self.statements(statement, depth + 1);
        self.path.truncate(before);
        chain(steps, head, children).into_iter().collect()
    }

    /// The entries of a list whose name stands around them.
    fn entries(&mut self, statement: &'static Statement, around: &Head, depth: usize) -> Vec<Patch> {
        let mut patches = Vec::new();
        let mut head = Head::default();
        loop {
            match self.tokens.next() {
                Some(Token::Word(word)) if head.words.is_empty() && head.flag(&word) => {}
                Some(Token::Word(word) | Token::Quoted(word)) => head.words.push(word),
                Some(token @ (Token::End | Token::Open)) => {
                    let mut entry = std::mem::take(&mut head);
                    if entry.act == Act::Merge {
                        entry.act = around.act;
                    }
                    let Some((key, rest)) = entry.words.split_first().map(|(k, r)| (k.clone(), r.to_vec()))
                    else {
                        continue;
                    };
                    let step = vec![(statement, Some(key.clone()))];
                    let mut children = Vec::new();
                    self.path.push(key);
                    if !rest.is_empty() {
                        let inner = Head {
                            words: rest,
                            ..Head::default()
                        };
                        children = self.leaf(statement, &inner);
                    }
                    if token == Token::Open {
                        children.extend(self.statements(statement, depth + 1));
                    }
                    self.path.pop();
                    patches.extend(chain(step, &entry, children));
                }
                Some(Token::Close) | None => return patches,
            }
        }
    }

    fn steps(&mut self, parent: &'static Statement, words: &[String]) -> Option<Vec<Vec<Step>>> {
        match set::paths(parent, words, &words.join(" ")) {
            Ok(paths) => Some(paths),
            Err(SetError::Syntax { word, level, .. }) => {
                let mut path = self.path.clone();
                path.extend(level);
                self.problems.push(DeviceError::syntax(word).at(banner(&path)));
                None
            }
            Err(error) => {
                self.problems.push(error.to_device_error());
                None
            }
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 1;
        for token in self.tokens.by_ref() {
            match token {
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                Token::Word(_) | Token::Quoted(_) | Token::End => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn wrong(&mut self, message: &str, bad_element: &str) {
        self.problems.push(
            DeviceError::new(message)
                .at(banner(&self.path))
                .element(bad_element),
        );
    }
}

/// The path as patches inside each other; what the words carry in front belongs to the first that is no mere prefix.
fn chain(steps: Vec<Step>, head: &Head, children: Vec<Patch>) -> Option<Patch> {
    let marked = steps
        .iter()
        .position(|(statement, _)| statement.style != Style::Prefix)
        .unwrap_or(0);
    let mut inner: Option<Patch> = None;
    let mut children = Some(children);
    for (at, (statement, argument)) in steps.into_iter().enumerate().rev() {
        let act = if at >= marked || head.act != Act::Delete {
            Act::Merge
        } else {
            Act::Touch
        };
        let mut patch = Patch::new(statement, argument, act);
        match inner.take() {
            Some(below) => patch.children.push(below),
            None => patch.children = children.take().unwrap_or_default(),
        }
        if at == marked {
            patch.act = head.act;
            patch.inactive = head.inactive;
            patch.protect = head.protect;
            if head.act == Act::Delete {
                patch.children.clear();
            }
        }
        inner = Some(patch);
    }
    inner
}

/// Words, braces and semicolons; comments are passed over.
fn tokens(text: &str) -> Result<Vec<Token>, DeviceError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            rest = rest.trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let Some((_, behind)) = comment.split_once("*/") else {
                return Err(DeviceError::new("missing end of comment").element("/*"));
            };
            rest = behind;
        } else if c == '#' {
            rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
        } else if c == '"' {
            let (word, behind) = quoted(&rest[1..])?;
            tokens.push(Token::Quoted(word));
            rest = behind;
        } else {
            let single = match c {
                '{' => Some(Token::Open),
                '}' => Some(Token::Close),
                ';' => Some(Token::End),
                '[' | ']' => Some(Token::Word(c.to_string())),
                _ => None,
            };
            if let Some(token) = single {
                tokens.push(token);
                rest = &rest[1..];
                continue;
            }
            let end = rest
                .find(|c: char| c.is_whitespace() || "{};[]\"".contains(c))
                .unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    Ok(tokens)
}

/// The text up to the closing quotation mark, and what stands behind that.
fn quoted(text: &str) -> Result<(String, &str), DeviceError> {
    let mut word = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((word, &text[at + 1..])),
            '\\' => word.extend(characters.next().map(|(_, escaped)| escaped)),
            other => word.push(other),
        }
    }
    Err(DeviceError::new("missing end quote").element("\""))
}

#[cfg(test)]
mod tests;
