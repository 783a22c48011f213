//! A disk under a server of a test's own, which is full when the test says so.
//!
//! The server's calls that would let a table grow are answered by a library of ours with `ENOSPC`:
//! that takes no file system to be mounted, which not everybody may.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The disk of one server.
#[derive(Debug)]
pub struct Disk {
    /// There while the disk is full.
    flag: PathBuf,
    library: PathBuf,
}

impl Disk {
    /// Under a server whose folder this is.
    ///
    /// # Panics
    /// If there is no C compiler.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let (source, library) = (folder.join("disk.c"), folder.join("disk.so"));
        fs::write(&source, include_str!("disk.c")).expect("written");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = compiler.output().expect("a C compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { flag: folder.join("full"), library }
    }

    /// What a server has in its environment to be on this disk.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library.clone()), ("FLOWSTATE_DISK_FULL", self.flag.clone())]
    }

    /// From now on nothing grows.
    pub fn fill(&self) {
        fs::write(&self.flag, "").expect("full");
    }

    /// There is room again.
    pub fn free(&self) {
        fs::remove_file(&self.flag).expect("free");
    }
}
