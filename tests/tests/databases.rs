//! Says in one line which databases this run does not test. It has no test harness, which would
//! hide the line.

use std::process::ExitCode;

struct Database {
    name: &'static str,
    feature: &'static str,
    is_on: bool,
    variable: &'static str,
}

const SERVERS: [Database; 2] = [
    Database {
        name: "PostgreSQL",
        feature: "postgres",
        is_on: cfg!(feature = "postgres"),
        variable: "FLOWSTATE_POSTGRES_URL",
    },
    Database {
        name: "MySQL/MariaDB",
        feature: "mysql",
        is_on: cfg!(feature = "mysql"),
        variable: "FLOWSTATE_MYSQL_URL",
    },
];

fn main() -> ExitCode {
    // tools that only want to know the tests
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let (mut tested, mut left_out, mut missing) = (vec!["SQLite"], Vec::new(), Vec::new());
    for Database { name, feature, is_on, variable } in SERVERS {
        match (is_on, std::env::var_os(variable)) {
            (true, Some(_)) => tested.push(name),
            (true, None) => missing.push(variable),
            (false, Some(_)) => left_out
                .push(format!("{name} ({variable} is set, but --features {feature} is missing)")),
            (false, None) => {
                left_out.push(format!("{name} ({variable}=… and --features {feature})"));
            }
        }
    }
    if !missing.is_empty() {
        println!("the features ask for servers, but {} is not set", missing.join(" and "));
        return ExitCode::FAILURE;
    }
    let mut line = format!("tested on {}", tested.join(", "));
    if !left_out.is_empty() {
        line = format!("{line}; NOT tested on {}", left_out.join(", "));
    }
    println!("{line}");
    ExitCode::SUCCESS
}
