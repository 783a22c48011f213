//! A server of a test's own, in a temporary folder, which may be killed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::disk::Disk;

/// So long and a server does not start.
const PATIENCE: Duration = Duration::from_secs(90);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// `PostgreSQL`.
    Postgres,
    /// `MariaDB`.
    MariaDb,
}

/// A server under way. Killed when it is dropped.
#[derive(Debug)]
pub struct OwnServer {
    kind: ServerKind,
    folder: TempDir,
    port: u16,
    owner: Option<(u32, u32)>,
    extra: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    process: Option<Child>,
}

impl OwnServer {
    /// Makes an empty one and starts it.
    ///
    /// # Panics
    /// If the server's programs are not installed or do not work.
    #[must_use]
    pub fn start(kind: ServerKind) -> Self {
        Self::start_with(kind, &[])
    }

    /// Makes an empty one and starts it with further arguments.
    ///
    /// # Panics
    /// As [`OwnServer::start`].
    #[must_use]
    pub fn start_with(kind: ServerKind, extra: &[&str]) -> Self {
        let mut server = Self::prepared(kind);
        server.set_arguments(extra.iter().map(ToString::to_string).collect());
        server.make();
        server.restart();
        server
    }

    /// Has a folder and a port for one, which is neither made nor started.
    #[must_use]
    pub fn prepared(kind: ServerKind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // neither server runs as root
        let owner = is_root(folder.path()).then(unprivileged);
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).expect("its folder");
        }
        let (extra, environment) = (Vec::new(), Vec::new());
        Self { kind, folder, port: free_port(), owner, extra, environment, process: None }
    }

    /// An empty one, on a disk that can be full.
    ///
    /// # Panics
    /// As [`OwnServer::start`], or if there is no C compiler.
    #[must_use]
    pub fn start_on_disk(kind: ServerKind) -> (Self, Disk) {
        let mut server = Self::prepared(kind);
        let disk = Disk::in_folder(server.folder.path());
        server.make();
        server.environment = disk.environment().into();
        server.restart();
        (server, disk)
    }

    /// Further arguments from its next start on.
    pub fn set_arguments(&mut self, extra: Vec<String>) {
        self.extra = extra;
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.port;
        match self.kind {
            ServerKind::Postgres => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            ServerKind::MariaDb => format!("mysql://root@127.0.0.1:{port}/flows"),
        }
    }

    /// Kills it, as a crash would, and with it every connection.
    pub fn crash(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        if self.kind == ServerKind::Postgres {
            // the "immediate" shutdown: children and shared memory go too
            let pid = process.id().to_string();
            let told = Command::new("kill").args(["-QUIT", &pid]).status();
            assert!(told.is_ok_and(|status| status.success()), "no signal could be sent");
        } else {
            process.kill().expect("killed");
        }
        process.wait().expect("its end");
    }

    /// Starts it again, and waits until it answers.
    pub fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let data = self.path("data");
        let port = self.port.to_string();
        let mut command = match self.kind {
            ServerKind::Postgres => {
                let mut command = Command::new(program("postgres"));
                command.arg("-D").arg(&data).args(["-p", &port, "-c", "fsync=off", "-k"]);
                command.arg(self.folder.path()).args(["-c", "listen_addresses=127.0.0.1"]);
                command
            }
            ServerKind::MariaDb => {
                let mut command = Command::new(program("mariadbd"));
                command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
                command.arg(format!("--socket={}", self.path("socket").display()));
                // when it starts, it deletes what others have there
                command.arg(format!("--tmpdir={}", self.folder.path().display()));
                command.args([&format!("--port={port}"), "--bind-address=127.0.0.1"]);
                command
            }
        };
        command.args(&self.extra).envs(self.environment.iter().cloned());
        self.owned(&mut command);
        let errors = log.try_clone().expect("a log");
        let process = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.process = Some(process.expect("a server"));
        self.wait_until_it_answers();
    }

    /// Waits until it takes connections.
    pub fn wait_until_it_answers(&self) {
        let begun = Instant::now();
        while !self.answers() {
            let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "the server does not start:\n{}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops every process of it, as a machine does that stands still. Returns when nothing of it runs.
    pub fn freeze(&self) {
        let begun = Instant::now();
        loop {
            // one may have started another meanwhile
            self.signal("-STOP");
            if self.processes().iter().all(|process| stands(process)) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not stand still");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Ends every process of it at once, frozen ones too, as a machine does that loses its power.
    pub fn cut_off(&mut self) {
        self.signal("-KILL");
        self.crash();
    }

    fn signal(&self, signal: &str) {
        let mut command = Command::new("kill");
        command.arg(signal).args(self.processes());
        // one that has just ended is no failure
        command.stderr(Stdio::null()).status().expect("told");
    }

    fn processes(&self) -> Vec<String> {
        let pid = self.process.as_ref().expect("a server under way").id().to_string();
        // PostgreSQL has a process for each connection
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("its processes");
        std::iter::once(pid).chain(children.split_whitespace().map(str::to_owned)).collect()
    }

    /// Fills its folder for the first time.
    pub fn make(&self) {
        let data = self.path("data");
        let command = match self.kind {
            ServerKind::Postgres => {
                let mut command = Command::new(program("initdb"));
                command.arg("-D").arg(data).args(["-A", "trust", "-U", "postgres", "--no-sync"]);
                command
            }
            ServerKind::MariaDb => {
                let mut command = Command::new(program("mariadb-install-db"));
                command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
                // others that start delete what is in the usual folder
                command.env("TMPDIR", self.folder.path());
                command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
                command
            }
        };
        self.finish(command);
    }

    /// Makes it a copy of a primary of `PostgreSQL`, which it follows when it is started. The primary
    /// is stopped meanwhile.
    pub fn copy(&self, primary: &mut Self) {
        primary.crash();
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(primary.path("data")).arg(self.path("data"));
        self.finish(copy);
        let mut signal = Command::new("touch");
        signal.arg(self.path("data").join("standby.signal"));
        self.finish(signal);
        let settings = self.path("data").join("postgresql.auto.conf");
        let mut settings = File::options().append(true).open(settings).expect("its settings");
        let port = primary.port;
        writeln!(settings, "primary_conninfo = 'user=postgres host=127.0.0.1 port={port}'")
            .expect("a setting");
        primary.restart();
    }

    fn finish(&self, mut command: Command) {
        self.owned(&mut command);
        let output = command.stdin(Stdio::null()).output().expect("installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    fn answers(&self) -> bool {
        use diesel::Connection as _;
        match self.kind {
            #[cfg(feature = "postgres")]
            ServerKind::Postgres => diesel::PgConnection::establish(&self.url()).is_ok(),
            #[cfg(feature = "mysql")]
            ServerKind::MariaDb => {
                use diesel::connection::SimpleConnection as _;
                let url = self.url();
                let url = url.trim_end_matches("flows");
                diesel::MysqlConnection::establish(url)
                    .and_then(|mut conn| {
                        conn.batch_execute("CREATE DATABASE IF NOT EXISTS flows")
                            .map_err(diesel::ConnectionError::CouldntSetupConfiguration)
                    })
                    .is_ok()
            }
            #[allow(unreachable_patterns, reason = "without one of the features")]
            _ => unreachable!("the feature is off"),
        }
    }

    #[cfg(not(any(feature = "postgres", feature = "mysql")))]
    #[expect(clippy::unused_self, reason = "without the features there is nobody to ask")]
    fn answers(&self) -> bool {
        true
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn owned(&self, command: &mut Command) {
        command.current_dir(self.folder.path());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.crash();
    }
}

/// A port that nobody uses, and that neither this process is given again nor a client of anybody, while
/// its server is away: those get theirs from 32768 on.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = fastrand::u16(20_000..32_768);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
}

/// Waits until something listens on a port of this machine; `what`: the claim that it does.
pub fn wait_until_listening(port: u16, what: &str) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether no thread of a process runs: it has been stopped, or has ended.
fn stands(process: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut states =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // behind the name of the program, which may be anything
    states.all(|stat| {
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['T', 'Z', 'X']))
    })
}

fn is_root(own: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(own).is_ok_and(|folder| folder.uid() == 0)
}

/// Somebody who may run a server.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("the users");
    let nobody = users.lines().find(|user| user.starts_with("nobody:")).expect("nobody");
    let mut numbers = nobody.split(':').skip(2).map(|part| part.parse().expect("a number"));
    (numbers.next().expect("a user"), numbers.next().expect("a group"))
}

/// Where a program is: Debian keeps PostgreSQL's out of the path.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    // links lead astray programs that look for their neighbours
    let found = found.unwrap_or_else(|| panic!("`{name}` is not installed"));
    found.canonicalize().unwrap_or(found)
}
