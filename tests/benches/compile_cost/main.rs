//! What the derive costs: `cargo check` of a flow against the same items written by hand, and the
//! time and size of the expansion alone.
//!
//! `cargo bench -p flowstate-tests --bench compile_cost`

mod program;
mod steps;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STATES: [usize; 3] = [10, 60, 200];
const RUNS: u32 = 15;

fn main() -> io::Result<()> {
    let package = Package::new()?;
    println!(
        "| states | by hand, ms | derive, ms | ratio | lines by hand | lines with the derive |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for states in STATES {
        let sources = [String::new(), program::by_hand(states), program::derived(states)];
        let [empty, by_hand, derive] = package.means(&sources)?;
        let (by_hand, derive) = (by_hand.saturating_sub(empty), derive.saturating_sub(empty));
        println!(
            "| {states} | {} | {} | {:.2} | {} | {} |",
            by_hand.as_millis(),
            derive.as_millis(),
            derive.as_secs_f64() / by_hand.as_secs_f64(),
            sources[1].lines().count(),
            sources[2].lines().count(),
        );
    }
    of_steps(&package)?;
    expansion()
}

/// Steps against the three transitions that each was before there were steps.
fn of_steps(package: &Package) -> io::Result<()> {
    println!("\n| states | triples, ms | steps, ms | ratio | lines of triples | lines of steps |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    let sources = [String::new(), steps::triples(), steps::steps()];
    let [empty, triples, steps] = package.means(&sources)?;
    let (triples, steps) = (triples.saturating_sub(empty), steps.saturating_sub(empty));
    println!(
        "| {} | {} | {} | {:.2} | {} | {} |\n",
        steps::STATES,
        triples.as_millis(),
        steps.as_millis(),
        steps.as_secs_f64() / triples.as_secs_f64(),
        sources[1].lines().count(),
        sources[2].lines().count(),
    );
    Ok(())
}

/// The derive without a compiler round it, as a test of its package prints it.
fn expansion() -> io::Result<()> {
    let arguments =
        ["test", "-q", "-p", "flowstate-derive", "cost", "--", "--ignored", "--nocapture"];
    let output = Command::new(env!("CARGO")).args(arguments).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.starts_with('|')).for_each(|line| println!("{line}"));
    Ok(())
}

/// A package beside the workspace whose source is exchanged.
struct Package(PathBuf);

impl Package {
    fn new() -> io::Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_cost");
        fs::create_dir_all(folder.join("src"))?;
        let manifest = format!(
            "[package]\nname = \"compile-cost\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [dependencies]\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\
             flowstate.path = '{}'\n[workspace]\n",
            workspace.join("flowstate").display(),
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(Self(folder))
    }

    /// The mean of several runs of each, in turns, so that a busy machine slows all alike.
    fn means<const N: usize>(&self, sources: &[String; N]) -> io::Result<[Duration; N]> {
        let mut sums = [Duration::ZERO; N];
        // the first run builds the dependencies
        self.check("")?;
        for run in 0..RUNS {
            for (source, sum) in sources.iter().zip(&mut sums) {
                *sum += self.check(&format!("//! Run {run}.\n{source}"))?;
            }
        }
        Ok(sums.map(|sum| sum / RUNS))
    }

    fn check(&self, source: &str) -> io::Result<Duration> {
        fs::write(self.0.join("src/lib.rs"), source)?;
        let (began, used) = (Instant::now(), children_cpu());
        let status = Command::new(env!("CARGO"))
            .args(["check", "-q", "--manifest-path"])
            .arg(self.0.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .env("CARGO_INCREMENTAL", "0")
            .status()?;
        if !status.success() {
            return Err(io::Error::other("the measured program does not compile"));
        }
        let cpu = children_cpu().zip(used).map(|(after, before)| after.saturating_sub(before));
        Ok(cpu.unwrap_or_else(|| began.elapsed()))
    }
}

/// The processor time of finished child processes, in hundredths of a second, where the system
/// tells it: other than the clock's, it does not depend on what else the machine does.
fn children_cpu() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks =
        fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok());
    Some(Duration::from_millis(ticks.sum::<u64>() * 10))
}
