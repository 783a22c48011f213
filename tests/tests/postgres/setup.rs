//! Setting up: where the tables are, who may make them, and what the database can hold.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, migrate};
use flowstate_tests::database::server::{fresh_name, with_database};
use flowstate_tests::flows::{Job, Named};
use flowstate_tests::{Database, Postgres, check, refused};

use super::Server;

/// A database of its own, dropped at the end, and the roles made in it.
struct Own {
    name: String,
    role: String,
}

impl Own {
    fn new(options: &str) -> Self {
        let (name, role) = (fresh_name(), fresh_name());
        let admin = &mut PgConnection::establish(&Postgres::server()).expect("the server");
        let create = format!("CREATE DATABASE {name} {options}");
        admin.batch_execute(&create).expect("a database");
        admin.batch_execute(&format!("CREATE ROLE {role}")).expect("a role");
        Self { name, role }
    }

    fn connect(&self) -> PgConnection {
        let url = with_database(&Postgres::server(), &self.name);
        PgConnection::establish(&url).expect("a connection")
    }

    fn as_role(&self) -> PgConnection {
        let mut conn = self.connect();
        let set = format!("SET ROLE {}; SET search_path = {0}, public", self.role);
        conn.batch_execute(&set).expect("the role");
        conn
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let admin = &mut PgConnection::establish(&Postgres::server()).expect("the server");
        admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).expect("dropped");
        admin.batch_execute(&format!("DROP ROLE {}", self.role)).expect("dropped");
    }
}

/// The tables are in `public`, and the role has a schema of its own that comes before: what is found
/// counts, and no second set is made.
#[test]
fn what_the_search_path_finds_counts() {
    let own = Own::new("");
    let admin = &mut own.connect();
    assert_eq!(migrate(admin).expect("migrated").len(), 1);
    let id = Job::new("a").create(admin).expect("created").id();
    let role = &own.role;
    let grant = format!(
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; CREATE SCHEMA {role} AUTHORIZATION {role}"
    );
    admin.batch_execute(&grant).expect("granted");
    let conn = &mut own.as_role();
    assert_eq!(migrate(conn).expect("nothing to do"), [] as [&str; 0]);
    assert_eq!(Job::find(id, conn).expect("found").id(), id);
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'flowstate_flows'";
    assert_eq!(Postgres::number(conn, tables), 1);
}

/// A role that may make nothing can call `migrate` when everything is there, and is told what it may
/// not if something is missing.
#[test]
fn a_role_that_may_make_nothing_migrates_nothing() {
    let own = Own::new("");
    let admin = &mut own.connect();
    let role = &own.role;
    let revoke = format!("REVOKE CREATE ON SCHEMA public FROM PUBLIC, {role}");
    admin.batch_execute(&revoke).expect("revoked");
    let source = refused!(migrate(&mut own.as_role()), Error::Database { source, .. } => source);
    assert!(source.to_string().contains("permission denied"), "{source}");
    migrate(admin).expect("migrated");
    let grant = format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}");
    admin.batch_execute(&grant).expect("granted");
    assert_eq!(migrate(&mut own.as_role()).expect("nothing to do"), [] as [&str; 0]);
}

/// A database in LATIN1 holds what it can, and refuses the rest before anything is written.
#[test]
fn a_database_in_latin1_serves() {
    let own = Own::new("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    let conn = &mut own.connect();
    migrate(conn).expect("migrated");
    let id = Job::new("\u{e9}").create(conn).expect("created").id();
    assert_eq!(Job::find(id, conn).expect("found").name, "\u{e9}");
    refused!(Job::new("\u{1f980}").create(conn), Error::Database { .. });
    refused!(Named {}.create(conn), Error::Database { .. });
    assert_eq!(check::sizes::<Postgres>(conn), [1, 1, 0]);
    check::clean(conn);
}

/// The way back takes everything away, and the way there can be gone again.
pub(crate) fn the_way_back_leaves_nothing<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let down =
        include_str!("../../../migrations/postgresql/2026-11-23-000000_create_flowstate/down.sql");
    conn.batch_execute(down).expect("down");
    refused!(Job::new("a").create(conn), Error::NotMigrated { .. });
    assert_eq!(migrate(conn).expect("migrated").len(), 1);
    Job::new("a").create(conn).expect("created");
}
