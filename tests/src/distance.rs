//! A server that is far away.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Passes bytes between clients and a server, each only when it has been under way for a while. Unlike
/// a slow line it takes any number of bytes at the same time.
#[derive(Debug)]
pub struct Distance {
    port: u16,
    round_trips: Arc<AtomicUsize>,
}

impl Distance {
    /// Puts so much time between clients and the server at `address`, each way.
    #[must_use]
    pub fn start(address: &str, each_way: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let address = address.to_owned();
        let round_trips = Arc::<AtomicUsize>::default();
        let made = Arc::clone(&round_trips);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&address).expect("the server");
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("no delay but ours");
                }
                let copy = |stream: &TcpStream| stream.try_clone().expect("another handle");
                let waits = Arc::<AtomicBool>::default();
                let (asks, made) = (Arc::clone(&waits), Arc::clone(&made));
                carry(copy(&client), copy(&server), each_way, move || {
                    // what is said in several parts before an answer is one question
                    if !asks.swap(true, Ordering::SeqCst) {
                        made.fetch_add(1, Ordering::SeqCst);
                    }
                });
                carry(server, client, each_way, move || waits.store(false, Ordering::SeqCst));
            }
        });
        Self { port, round_trips }
    }

    /// How many times clients have asked so far, each after the answer to the time before.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::SeqCst)
    }

    /// Where clients connect, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Bytes, and when they arrive.
type Sent = (Instant, Vec<u8>);

/// Calls `note` before anything is passed on.
fn carry(mut from: TcpStream, to: TcpStream, delay: Duration, note: impl Fn() + Send + 'static) {
    let (sender, sent): (Sender<Sent>, _) = channel();
    thread::spawn(move || deliver(&sent, to));
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            note();
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
}

/// Ends the connection, too, when what was sent has arrived.
fn deliver(sent: &Receiver<Sent>, mut to: TcpStream) {
    for (arrives, bytes) in sent {
        thread::sleep(arrives.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // the other side may have ended it already
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::Distance;

    #[test]
    fn an_answer_takes_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let mut word = [0; 4];
            client.read_exact(&mut word).expect("a word");
            client.write_all(&word).expect("the word again");
        });
        let each_way = Duration::from_millis(20);
        let distance = Distance::start(&address, each_way);
        let mut server = TcpStream::connect(("127.0.0.1", distance.port())).expect("a way");
        let begun = Instant::now();
        server.write_all(b"echo").expect("said");
        let mut all = Vec::new();
        server.read_to_end(&mut all).expect("heard, and then the end");
        assert!(begun.elapsed() >= each_way * 2, "{:?}", begun.elapsed());
        assert_eq!(all, b"echo");
        assert_eq!(distance.round_trips(), 1);
    }
}
