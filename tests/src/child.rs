//! Work in a process of its own, which may be killed: the test program run again, with only the
//! hidden test `child_process`.

use std::any::type_name;
use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _, stdin};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use crate::Database;

const JOB: &str = "FLOWSTATE_TEST_JOB";
const DATABASE: &str = "FLOWSTATE_TEST_DATABASE";
const URL: &str = "FLOWSTATE_TEST_URL";
/// Stands before what a child says, so that the test harness' own words are not taken for it.
const SAYS: &str = "child: ";

/// What a child is asked to do, in words.
#[derive(Debug)]
pub struct Job {
    /// What, and with what.
    pub words: Vec<String>,
    /// The database.
    pub url: String,
}

/// The job of this process, if it is a child for this kind of database.
#[must_use]
pub fn job<D: Database>() -> Option<Job> {
    let words = env::var(JOB).ok()?.split(' ').map(str::to_owned).collect();
    let url = env::var(URL).ok()?;
    (env::var(DATABASE).ok()? == type_name::<D>()).then_some(Job { words, url })
}

/// The command that runs a child.
#[must_use]
pub fn command<D: Database>(job: &str, url: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the program's path"));
    command
        .args(["child_process", "--nocapture", "--test-threads=1"])
        .env(JOB, job)
        .env(DATABASE, type_name::<D>())
        .env(URL, url);
    command
}

/// Says something to the parent.
pub fn say(text: &str) {
    println!("\n{SAYS}{text}");
}

/// Tells the parent that all is prepared, and waits until it says go.
pub fn wait_for_go() {
    say("ready");
    stdin().lock().read_line(&mut String::new()).expect("go");
}

/// A child under way.
#[derive(Debug)]
pub struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status, or the signal that killed it.
    pub status: ExitStatus,
    /// What it said since it went.
    pub said: Vec<String>,
}

impl Running {
    /// Starts it.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a child");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, said }
    }

    /// Waits until it is [ready](wait_for_go).
    #[must_use]
    pub fn ready(mut self) -> Self {
        let mut line = String::new();
        while !line.ends_with("ready\n") {
            line.clear();
            let length = self.said.read_line(&mut line).expect("its words");
            assert!(length > 0, "the child ended before it was ready: {:?}", self.end());
        }
        self
    }

    /// Lets it go.
    pub fn go(&mut self) {
        self.child.stdin.as_mut().expect("its input").write_all(b"go\n").expect("told");
    }

    /// Waits until it has said so much, and kills it.
    #[must_use]
    pub fn kill_after(mut self, lines: usize) -> Ended {
        let mut text = String::new();
        while text.matches(SAYS).count() < lines {
            let length = self.said.read_line(&mut text).expect("its words");
            assert!(length > 0, "the child ended by itself: {text}\n{:?}", self.end());
        }
        self.child.kill().expect("killed");
        self.end_after(text)
    }

    /// Waits for its end.
    #[must_use]
    pub fn end(self) -> Ended {
        self.end_after(String::new())
    }

    /// `text`: what it has said before.
    fn end_after(mut self, mut text: String) -> Ended {
        self.said.read_to_string(&mut text).expect("its words");
        let output = self.child.wait_with_output().expect("its end");
        let said: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix(SAYS)).map(str::to_owned).collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(101), "the child panicked:\n{text}\n{errors}");
        Ended { status: output.status, said }
    }
}

/// Runs a child to its end.
#[must_use]
pub fn run<D: Database>(job: &str, url: &str) -> Ended {
    Running::start(command::<D>(job, url)).end()
}

/// Runs several at the same time.
#[must_use]
pub fn run_together<D: Database>(jobs: &[&str], url: &str) -> Vec<Ended> {
    let start = |job: &&str| Running::start(command::<D>(job, url)).ready();
    let mut children: Vec<_> = jobs.iter().map(start).collect();
    children.iter_mut().for_each(Running::go);
    children.into_iter().map(Running::end).collect()
}
