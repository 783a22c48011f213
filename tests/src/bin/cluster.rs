//! Drives a cluster that is harmed: see `--help`.

fn main() -> std::process::ExitCode {
    run()
}

#[cfg(all(feature = "postgres", feature = "mysql"))]
fn run() -> std::process::ExitCode {
    flowstate_tests::chaos::cluster::main(std::env::args().skip(1))
}

#[cfg(not(all(feature = "postgres", feature = "mysql")))]
fn run() -> std::process::ExitCode {
    eprintln!("clusters need `--features postgres,mysql`");
    std::process::ExitCode::from(2)
}
