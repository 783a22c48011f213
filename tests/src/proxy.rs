//! A connection to a server that is cut, or refused, at a chosen moment.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// When to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the server gets it.
    Before,
    /// After the server has answered it, before the client gets the answer.
    After,
    /// Not at all: the server has answered, and the client hears nothing of it, nor that there will be
    /// nothing.
    Never,
}

/// Passes bytes between clients and a server, until a client says what is waited for.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What to cut at; taken by the first client that says it.
    waits_for: Option<(Cut, Vec<u8>)>,
    cuts: u32,
    /// What to refuse, and the answer; each is taken by the first client that says it.
    refusals: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl Proxy {
    /// Starts one to the server at `address`.
    #[must_use]
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::<Mutex<State>>::default();
        let (address, shared) = (address.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&address).expect("the server");
                let state = Arc::clone(&shared);
                thread::spawn(move || pass(client, server, &state));
            }
        });
        Self { port, state }
    }

    /// Where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the connection of the next client that says `words`.
    pub fn cut(&self, when: Cut, words: &str) {
        lock(&self.state).waits_for = Some((when, words.into()));
    }

    /// Answers the next client that says `words` with this error of MySQL, in place of the server, which
    /// hears nothing of it. Of several refusals each is given once.
    pub fn refuse(&self, words: &str, number: u16, text: &str) {
        // <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html>
        let error = [&[0xff][..], &number.to_le_bytes(), b"#HY000", text.as_bytes()].concat();
        let length = u32::try_from(error.len()).expect("a short text").to_le_bytes();
        let packet = [&length[..3], &[1], &error].concat();
        lock(&self.state).refusals.push_back((words.into(), packet));
    }

    /// How many refusals are left.
    #[must_use]
    pub fn refusals(&self) -> usize {
        lock(&self.state).refusals.len()
    }

    /// How many connections were cut.
    #[must_use]
    pub fn cuts(&self) -> u32 {
        lock(&self.state).cuts
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection. A single thread takes turns, so that no answer slips past a cut.
fn pass(mut client: TcpStream, mut server: TcpStream, state: &Mutex<State>) {
    let pause = Some(Duration::from_millis(1));
    client.set_read_timeout(pause).expect("a time-out");
    server.set_read_timeout(pause).expect("a time-out");
    let mut buffer = vec![0; 1 << 20];
    let mut prepared = Prepared::default();
    while let Some(length) = read(&mut client, &mut buffer) {
        let said = &buffer[..length];
        let spelt_out = prepared.spelt_out(said);
        if let Some(answer) = refusal(&spelt_out, state) {
            if client.write_all(&answer).is_err() {
                break;
            }
            continue;
        }
        if let Some(cut) = due(&spelt_out, state) {
            if cut == Cut::Never {
                server.write_all(said).expect("passed on");
                // whatever the server says, until the client has ended
                while read(&mut client, &mut buffer).is_some() {
                    let _ = read(&mut server, &mut buffer);
                }
                break;
            }
            if cut == Cut::After {
                server.write_all(said).expect("passed on");
                while read(&mut server, &mut buffer).is_some_and(|length| length == 0) {}
            }
            break;
        }
        if server.write_all(said).is_err() {
            break;
        }
        let Some(length) = read(&mut server, &mut buffer) else { break };
        prepared.answered(&buffer[..length]);
        if client.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // either may be closed already
    drop((client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both)));
}

/// The statements that a client of MySQL has prepared: it sends their text once, and then their
/// numbers <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>.
#[derive(Default)]
struct Prepared {
    /// Numbers and texts.
    known: Vec<(Vec<u8>, Vec<u8>)>,
    asked: Option<Vec<u8>>,
}

impl Prepared {
    /// What the client says, with the text of the statement that it executes.
    fn spelt_out(&mut self, said: &[u8]) -> Vec<u8> {
        const PREPARE: u8 = 0x16;
        const EXECUTE: u8 = 0x17;
        let mut spelt = said.to_vec();
        // a packet of MySQL begins with its length and its number, which is 0 for a command
        let is_command = matches!(said, [a, b, c, 0, ..]
            if u32::from_le_bytes([*a, *b, *c, 0]) as usize + 4 == said.len());
        match said.get(4).filter(|_| is_command) {
            Some(&PREPARE) => {
                self.asked = Some(said[5..].to_vec());
                // only its execution counts
                spelt.clear();
            }
            Some(&EXECUTE) => {
                let known = self.known.iter().find(|(number, _)| said[5..].starts_with(number));
                spelt.extend(known.iter().flat_map(|(_, text)| text));
            }
            _ => {}
        }
        spelt
    }

    fn answered(&mut self, answer: &[u8]) {
        if let Some(number) = answer.get(5..9)
            && let Some(text) = self.asked.take()
        {
            self.known.push((number.to_vec(), text));
        }
    }
}

/// Whether to cut at what the client says.
fn due(said: &[u8], state: &Mutex<State>) -> Option<Cut> {
    let mut state = lock(state);
    let (cut, _) = state.waits_for.take_if(|(_, words)| says(said, words))?;
    state.cuts += 1;
    Some(cut)
}

/// What to answer in place of the server.
fn refusal(said: &[u8], state: &Mutex<State>) -> Option<Vec<u8>> {
    let mut state = lock(state);
    let at = state.refusals.iter().position(|(words, _)| says(said, words))?;
    state.refusals.remove(at).map(|(_, answer)| answer)
}

fn says(said: &[u8], words: &[u8]) -> bool {
    said.windows(words.len()).any(|window| window == words)
}

/// What is there to read, maybe nothing yet. `None` at the end.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<usize> {
    match stream.read(buffer) {
        Ok(0) => None,
        Ok(length) => Some(length),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Some(0)
        }
        Err(_) => None,
    }
}
