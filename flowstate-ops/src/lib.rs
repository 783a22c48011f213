#![doc = include_str!("../README.md")]

#[cfg(feature = "command")]
pub mod command;
#[cfg(feature = "dashboard")]
pub mod dashboard;
#[cfg(all(feature = "command", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
pub mod database;
pub mod diagram;

#[cfg(feature = "command")]
pub use command::{Commands, Exit, Problem};
pub use flowstate_diesel::operator;

/// The name of this machine, as far as it tells, for `user@host`.
#[cfg(feature = "command")]
fn host() -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.iter().find_map(|file| std::fs::read_to_string(file).ok());
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Who is at the keyboard: `user@host`.
#[cfg(feature = "command")]
#[must_use]
pub fn user_at_host() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let user = user.unwrap_or_else(|| "unknown".to_owned());
    match host().or_else(|| std::env::var("COMPUTERNAME").ok()) {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}
