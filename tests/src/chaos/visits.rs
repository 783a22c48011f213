//! What the handlers saw themselves, kept beside the database: a file to which every process adds
//! lines, in the order in which they are written.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A line that a handler adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line<'a> {
    begins: bool,
    flow: i64,
    /// The claim's: the record's `seq` after the start transition.
    seq: i64,
    process: &'a str,
    /// In milliseconds since 1970.
    at: u64,
    /// The idempotency key of the claim.
    key: Option<&'a str>,
}

/// A handler at work. Its end is written when it is dropped, by a panic too, but by no death.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    file: &'a File,
    flow: i64,
    seq: i64,
}

impl<'a> Visit<'a> {
    /// `key`: the idempotency key of the claim.
    pub(super) fn begin(file: &'a File, flow: i64, seq: i64, key: &str) -> Self {
        write(file, "begin", flow, seq, key);
        Self { file, flow, seq }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        write(self.file, "end", self.flow, self.seq, "");
    }
}

fn write(mut file: &File, what: &str, flow: i64, seq: i64, key: &str) {
    // in one call: lines of others do not come between
    let (process, at) = (std::process::id(), millis(SystemTime::now()));
    let line = format!("{what} {flow} {seq} {process} {at} {key}\n");
    file.write_all(line.as_bytes()).expect("a line");
}

/// In milliseconds since 1970.
fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("few")
}

/// The file, for a process that adds to it.
pub(super) fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("the visits")
}

/// What the lines tell.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// How many handlers began.
    pub(super) begun: usize,
    /// Claims that two processes had, by flow and `seq`.
    pub(super) shared: Vec<(i64, i64)>,
    /// Claims whose handler had not ended when that of the next claim of the record began: each must
    /// have been lost before.
    pub(super) overtaken: Vec<(i64, i64)>,
    /// Those of them whose handler ended all the same: it was late.
    pub(super) late: usize,
    /// Records of which two tries of a step had different idempotency keys.
    pub(super) keyed_twice: Vec<i64>,
    /// When handlers of each process began, in milliseconds since 1970.
    begins: HashMap<String, Vec<u64>>,
}

impl Told {
    pub(super) fn read(path: &Path) -> Self {
        Self::of(&std::fs::read_to_string(path).unwrap_or_default())
    }

    fn of(text: &str) -> Self {
        let mut told = Self::default();
        let mut holders: HashMap<(i64, i64), &str> = HashMap::new();
        let mut running: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut keys: HashMap<(i64, &str), &str> = HashMap::new();
        for line in text.lines().filter_map(Line::read) {
            let (key, running) = ((line.flow, line.seq), running.entry(line.flow).or_default());
            if line.begins {
                told.begun += 1;
                // it ends with the name of the step's start
                if let Some((before, start)) = line.key.and_then(|key| key.rsplit_once('-'))
                    && *keys.entry((line.flow, start)).or_insert(before) != before
                {
                    told.keyed_twice.push(line.flow);
                }
                told.begins.entry(line.process.to_owned()).or_default().push(line.at);
                // a transactional handler may run again, in the same process
                if holders.insert(key, line.process).is_some_and(|other| other != line.process) {
                    told.shared.push(key);
                }
                let earlier = running.iter().filter(|seq| **seq != line.seq);
                told.overtaken.extend(earlier.map(|seq| (line.flow, *seq)));
                running.push(line.seq);
            } else {
                running.retain(|seq| *seq != line.seq);
                told.late += usize::from(told.overtaken.contains(&key));
            }
        }
        told.overtaken.sort_unstable();
        told.overtaken.dedup();
        told
    }

    /// How long after a moment each process began something that had done so before, in milliseconds.
    /// `None` for those that are `alive` and never did; those that died since are not counted then.
    #[cfg(all(feature = "postgres", feature = "mysql"))]
    pub(super) fn resumed(&self, moment: SystemTime, alive: &[u32]) -> Vec<Option<u64>> {
        let moment = millis(moment);
        let processes = self.begins.iter().filter(|(_, all)| all[0] < moment);
        processes
            .map(|(process, all)| {
                let next = all.iter().find(|at| **at >= moment).map(|at| at - moment);
                (next, alive.iter().any(|id| id.to_string() == *process))
            })
            .filter_map(|(next, is_alive)| (next.is_some() || is_alive).then_some(next))
            .collect()
    }
}

impl<'a> Line<'a> {
    /// `None` for one that a death cut short.
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let begins = words.next()? == "begin";
        let (flow, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (process, at) = (words.next()?, words.next()?.parse().ok()?);
        let key = words.next().filter(|key| !key.is_empty());
        Some(Self { begins, flow, seq, process, at, key })
    }
}

#[cfg(test)]
mod tests {
    use super::Told;

    #[test]
    fn tells_who_overtook_whom() {
        let told = Told::of(
            "begin 1 2 a 1\nbegin 2 2 a 2\nend 1 2 a 3\nbegin 1 5 b 4\nbegin 1 8 c 5\nend 1 5 b 6\n\
             end 2 2 a 7\nbegin 3",
        );
        assert_eq!((told.begun, told.late), (4, 1));
        assert_eq!((told.overtaken, told.shared), (vec![(1, 5)], vec![]));
        let told = Told::of("begin 1 2 a 1\nbegin 1 2 a 2\nend 1 2 a 3\nbegin 1 2 b 4\n");
        assert_eq!(told.shared, [(1, 2)]);
        let told = Told::of(
            "begin 1 2 a 1 x-errand-1-start_call\nend 1 2 a 2 \nbegin 1 4 b 3 x-errand-1-start_call\n\
             begin 1 6 b 4 x-errand-1-start_book\nbegin 2 2 b 5 x-errand-2-start_call\n\
             begin 2 4 b 6 y-errand-2-start_call\n",
        );
        assert_eq!((told.begun, told.keyed_twice), (5, vec![2]));
    }

    #[test]
    #[cfg(all(feature = "postgres", feature = "mysql"))]
    fn tells_how_soon_each_process_goes_on() {
        use std::time::{Duration, UNIX_EPOCH};
        // 7 goes on, 8 lives and does not, 9 has died, 10 came later
        let told = Told::of(
            "begin 1 2 7 100\nbegin 2 2 8 110\nbegin 3 2 9 120\nbegin 4 2 7 250\nbegin 5 2 10 260\n",
        );
        let mut resumed = told.resumed(UNIX_EPOCH + Duration::from_millis(200), &[7, 8, 10]);
        resumed.sort_unstable();
        assert_eq!(resumed, [None, Some(50)]);
    }
}
