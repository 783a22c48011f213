//! Which servers of the MySQL family can be used: those with SKIP LOCKED, in most modes.

use crate::error::Unfit;

/// Says why a server cannot be used, if so: by its `VERSION()|@@sql_mode`, and whether its binary log
/// takes no changes at the session's isolation level.
pub(super) fn refusal(server: &str, is_unlogged: bool) -> Option<Unfit> {
    let (version, mode) = server.split_once('|').unwrap_or((server, ""));
    if is_unlogged {
        return Some(Unfit::StatementLog);
    }
    if mode.split(',').any(|mode| mode == "ORACLE") {
        return Some(Unfit::OracleMode);
    }
    too_old(version)
}

fn too_old(version: &str) -> Option<Unfit> {
    // MariaDB before 11 may call itself 5.5.5-10.6.1-MariaDB
    let is_mariadb = version.contains("MariaDB");
    let (server, needed) = if is_mariadb { ("MariaDB", (10, 6)) } else { ("MySQL", (8, 0)) };
    let number = if is_mariadb { version.strip_prefix("5.5.5-") } else { None };
    let too_old = parse(number.unwrap_or(version)).is_some_and(|number| number < needed);
    let needed = "MySQL 8.0 or MariaDB 10.6, or newer";
    too_old.then(|| Unfit::TooOld {
        found: format!("{server} {version}"),
        lacks: "SKIP LOCKED",
        needed,
    })
}

/// The first two numbers. A version of another form is taken to be new enough.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::{Unfit, refusal};

    fn of_version(version: &str) -> Option<Unfit> {
        refusal(&format!("{version}|STRICT_TRANS_TABLES"), false)
    }

    #[test]
    fn m06_refuses_servers_without_skip_locked() {
        for old in [
            "5.7.44-log",
            "5.6.51",
            "10.5.29-MariaDB-0+deb11u1",
            "5.5.5-10.5.8-MariaDB",
            "5.5.68-MariaDB",
        ] {
            let refusal = of_version(old).expect(old).to_string();
            assert!(refusal.contains(old), "{refusal}");
            assert!(refusal.contains("MySQL 8.0 or MariaDB 10.6"), "{refusal}");
        }
        for new in [
            "8.0.36",
            "8.4.0-commercial",
            "9.1.0",
            "10.6.0-MariaDB",
            "5.5.5-10.6.1-MariaDB-log",
            "10.11.19-MariaDB-0+deb12u1",
            "11.8.2-MariaDB",
            "8.0.11-TiDB-v7.5.0",
            "what",
        ] {
            assert_eq!(of_version(new), None, "{new}");
        }
    }
}
