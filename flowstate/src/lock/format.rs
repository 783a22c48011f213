//! The text of a lock file: one fact a line, sorted, so that branches merge.
//!
//! The derive reads it by this same file, of which it has a copy: a macro's crate exports no
//! functions. A test holds the two against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// What a flow was when its lock file was last written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The stored name of the flow.
    pub flow: String,
    /// The version of its props.
    pub version: u32,
    /// The artefacts by stored name, each with its version.
    pub artefacts: BTreeMap<String, u32>,
    /// The states by stored name.
    pub states: BTreeMap<String, LockedState>,
    /// The transitions, sorted. After a merge one name may stand for several.
    pub transitions: BTreeSet<LockedTransition>,
    /// Names that rows may hold and nothing has as its own.
    pub gone: BTreeSet<Gone>,
}

/// A state of a [`Lock`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedState {
    /// Whether it stands for a failure.
    pub is_error: bool,
    /// Whether records end here.
    pub is_completed: bool,
    /// The artefacts that every record which stands here has.
    pub has: BTreeSet<String>,
}

/// A transition of a [`Lock`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedTransition {
    /// The stored name.
    pub name: String,
    /// The states that it starts from.
    pub from: BTreeSet<String>,
    /// The state that it leads to.
    pub to: String,
    /// The artefacts that it persists.
    pub persists: BTreeSet<String>,
    /// The artefacts that it loads, and that must be there.
    pub loads: BTreeSet<String>,
}

/// A name that rows may hold, and by which one it is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gone {
    /// What it is a name of.
    pub kind: Kind,
    /// The name.
    pub name: String,
    /// The stored name that stands for it.
    pub now: String,
}

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An artefact.
    Artefact,
    /// The flow itself.
    Itself,
    /// A state.
    State,
    /// A transition.
    Transition,
}

/// A line that is none of a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong, with the remedy.
    pub problem: String,
}

impl Lock {
    /// Reads the text of a lock file. One that is empty is of a flow of which nothing is known yet.
    ///
    /// Where a merge has left two lines of one state, a record there has what both say; of two versions
    /// the later one counts.
    ///
    /// # Errors
    /// [`Misread`]: the first line that is none.
    pub fn parse(text: &str) -> Result<Self, Misread> {
        let mut lock = Self { version: 1, ..Self::default() };
        // some editors begin a text with this sign
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (at, line) in text.lines().enumerate() {
            let read = if ["<<<<<<<", "=======", ">>>>>>>", "|||||||"]
                .iter()
                .any(|mark| line.starts_with(mark))
            {
                Err("a merge has left this mark: remove it, keep the lines of both sides"
                    .to_owned())
            } else {
                tokens(line).and_then(|tokens| lock.read(&mut Line(tokens.into_iter().peekable())))
            };
            read.map_err(|problem| Misread { line: at + 1, problem })?;
        }
        Ok(lock)
    }

    fn read(&mut self, line: &mut Line) -> Result<(), String> {
        if line.0.peek().is_none() {
            return Ok(());
        }
        let fact = line.name("a fact")?;
        match fact.as_str() {
            "flow" => {
                let flow = line.name("a flow")?;
                if !self.flow.is_empty() && self.flow != flow {
                    let other = &self.flow;
                    return Err(format!(
                        "this is a file of `{other}` already: remove one of the two"
                    ));
                }
                self.flow = flow;
                self.version = line.version()?.max(self.version);
            }
            "artefact" => {
                let (name, version) = (line.name("an artefact")?, line.version()?);
                let known = self.artefacts.entry(name).or_default();
                *known = (*known).max(version);
            }
            "state" => self.read_state(line)?,
            "transition" => {
                let name = line.name("a transition")?;
                line.sign(":")?;
                let mut from = BTreeSet::from([line.name("a state")?]);
                while line.takes("|") {
                    from.insert(line.name("a state")?);
                }
                line.sign("=>")?;
                let to = line.name("a state")?;
                let mut persists = BTreeSet::new();
                while line.takes("+") {
                    persists.insert(line.name("an artefact")?);
                }
                let mut loads = BTreeSet::new();
                while line.takes("-") {
                    loads.insert(line.name("an artefact")?);
                }
                let transition = LockedTransition { name, from, to, persists, loads };
                self.transitions.insert(transition);
            }
            "gone" => {
                let kind = Kind::of(&line.name("a kind such as `state`")?)?;
                let name = line.name("a name")?;
                line.sign("->")?;
                self.gone.insert(Gone { kind, name, now: line.name("a name")? });
            }
            other => return Err(format!("`{other}` is no fact of a flow: remove the line")),
        }
        match line.0.next() {
            None => Ok(()),
            Some(token) => Err(format!("nothing can follow here: remove `{token}`")),
        }
    }

    fn read_state(&mut self, line: &mut Line) -> Result<(), String> {
        let name = line.name("a state")?;
        let mut state = LockedState::default();
        while line.0.peek().is_some() {
            match line.name("`has`")?.as_str() {
                "error" => state.is_error = true,
                "completed" => state.is_completed = true,
                "has" => {
                    state.has.insert(line.name("an artefact")?);
                    while line.0.peek().is_some() {
                        state.has.insert(line.name("an artefact")?);
                    }
                }
                other => return Err(format!("a state is no `{other}`: remove the word")),
            }
        }
        if let Some(twin) = self.states.remove(&name) {
            state.is_error |= twin.is_error;
            state.is_completed &= twin.is_completed;
            state.has.retain(|artefact| twin.has.contains(artefact));
        }
        self.states.insert(name, state);
        Ok(())
    }
}

impl Kind {
    fn of(word: &str) -> Result<Self, String> {
        match word {
            "artefact" => Ok(Self::Artefact),
            "flow" => Ok(Self::Itself),
            "state" => Ok(Self::State),
            "transition" => Ok(Self::Transition),
            other => {
                Err(format!("expected `flow`, `state`, `transition` or `artefact`, not `{other}`"))
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Artefact => "artefact",
            Self::Itself => "flow",
            Self::State => "state",
            Self::Transition => "transition",
        })
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gone {} {} -> {}", self.kind, Quoted(&self.name), Quoted(&self.now))
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |version: u32| match version {
            0 | 1 => String::new(),
            later => format!(" v{later}"),
        };
        let artefact = |(name, number): (&String, &u32)| {
            format!("artefact {}{}", Quoted(name), version(*number))
        };
        let state = |(name, state): (&String, &LockedState)| {
            let mut line = format!("state {}", Quoted(name));
            line.push_str(if state.is_error { " error" } else { "" });
            line.push_str(if state.is_completed { " completed" } else { "" });
            line.push_str(if state.has.is_empty() { "" } else { " has" });
            state.has.iter().fold(line, |line, artefact| format!("{line} {}", Quoted(artefact)))
        };
        let transition = |edge: &LockedTransition| {
            let from: Vec<_> = edge.from.iter().map(|from| Quoted(from).to_string()).collect();
            let line = format!(
                "transition {}: {} => {}",
                Quoted(&edge.name),
                from.join(" | "),
                Quoted(&edge.to)
            );
            let persists = edge.persists.iter().map(|artefact| ('+', artefact));
            let loads = edge.loads.iter().map(|artefact| ('-', artefact));
            persists
                .chain(loads)
                .fold(line, |line, (sign, artefact)| format!("{line} {sign}{}", Quoted(artefact)))
        };
        let mut lines: Vec<String> = self.artefacts.iter().map(artefact).collect();
        lines.extend(self.gone.iter().map(ToString::to_string));
        lines.extend(self.states.iter().map(state));
        lines.extend(self.transitions.iter().map(transition));
        lines.sort_unstable();
        writeln!(f, "flow {}{}", Quoted(&self.flow), version(self.version))?;
        lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A name as it stands in a line: in quotes unless it is one word.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(is_plain) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn is_plain(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Sign(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => Quoted(name).fmt(f),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

const SIGNS: [&str; 6] = [":", "|", "=>", "->", "+", "-"];

fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            break;
        }
        if first == '"' {
            let mut signs = rest.chars();
            signs.next();
            tokens.push(Token::Name(quoted(&mut signs)?));
            rest = signs.as_str();
        } else if is_plain(first) {
            let end = rest.find(|sign| !is_plain(sign)).unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            return Err(format!(
                "`{first}` stands in no fact: a name with it is written in quotes"
            ));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// A name up to the quote that ends it.
fn quoted(signs: &mut Chars<'_>) -> Result<String, String> {
    let mut name = String::new();
    loop {
        match signs.next() {
            Some('"') => return Ok(name),
            Some('\\') => name.extend(signs.next()),
            Some(sign) => name.push(sign),
            None => return Err("a name begins with a quote and does not end: add one".to_owned()),
        }
    }
}

/// A line while it is read.
struct Line(Peekable<std::vec::IntoIter<Token>>);

impl Line {
    fn name(&mut self, what: &str) -> Result<String, String> {
        match self.0.next() {
            Some(Token::Name(name)) => Ok(name),
            Some(Token::Sign(sign)) => Err(format!("expected {what} before `{sign}`")),
            None => Err(format!("expected {what} at the end of the line")),
        }
    }

    fn takes(&mut self, sign: &str) -> bool {
        self.0.next_if(|token| matches!(token, Token::Sign(found) if *found == sign)).is_some()
    }

    fn sign(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("expected `{sign}`")) }
    }

    /// `v2`, if it is said.
    fn version(&mut self) -> Result<u32, String> {
        if self.0.peek().is_none() {
            return Ok(1);
        }
        let word = self.name("a version")?;
        let number = word.strip_prefix('v').and_then(|number| number.parse().ok());
        number.ok_or_else(|| format!("expected a version such as `v2`, not `{word}`"))
    }
}
