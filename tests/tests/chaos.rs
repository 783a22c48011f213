//! The long one, for a few seconds.

use std::process::Command;

#[test]
fn flows_survive_killed_workers() {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_chaos"));
    chaos.args(["--seconds", "6", "--flows", "200", "--kill-every", "200"]);
    let output = chaos.output().expect("run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("nothing was lost"), "{said}");
}

#[test]
fn help_names_every_option() {
    let output = Command::new(env!("CARGO_BIN_EXE_chaos")).arg("--help").output().expect("run");
    let said = String::from_utf8_lossy(&output.stdout);
    for option in ["--database", "--seconds", "--flows", "--workers", "--kill-every"] {
        assert!(said.contains(option), "{option}");
    }
}
