//! A browser under a test, and programs that are ended with it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Has a page count how often its script looks whether somebody is busy, which is at most three times a
/// refresh.
pub(crate) const LOOKS: &str = "(() => { window.looks = 0; Object.defineProperty(document, 'hidden', \
     { configurable: true, get: () => { window.looks += 1; return false; } }); })()";

/// A process that is ended with the test.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or_default();
    }
}

/// Starts a program and waits for the line by which it says where it listens.
pub(crate) fn start(
    mut command: Command,
    is_ready: impl Fn(&str) -> Option<String>,
) -> (Process, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; install Debian's chromium and chromium-driver")
    });
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let process = Process(child);
    let found = output.lines().find_map(|line| is_ready(&line.expect("a line")));
    (process, found.expect("it says where it listens"))
}

/// A browser, driven by the `WebDriver` protocol.
pub(crate) struct Browser {
    session: String,
    _driver: Process,
}

impl Browser {
    pub(crate) fn open() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let (driver, port) = start(command, |line| {
            let port = line.split_once("started successfully on port ")?.1;
            Some(port.trim_end_matches('.').to_owned())
        });
        let args =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": args } } } });
        let url = format!("http://127.0.0.1:{port}/session");
        let answer = send(&url, &wanted);
        let id = answer["sessionId"].as_str().expect("a session").to_owned();
        let browser = Self { session: format!("{url}/{id}"), _driver: driver };
        // a page that a click leads to may not be there yet
        send(&format!("{}/timeouts", browser.session), &json!({ "implicit": 30_000 }));
        browser
    }

    pub(crate) fn go(&self, url: &str) {
        send(&format!("{}/url", self.session), &json!({ "url": url }));
    }

    /// Presses the mouse over an element, or releases it.
    pub(crate) fn press(&self, css: &str, down: bool) {
        let element = self.find(css);
        let id = element.rsplit('/').next().unwrap_or_default();
        let origin = json!({ "element-6066-11e4-a52e-4f735466cecf": id });
        let button = if down { "pointerDown" } else { "pointerUp" };
        send(
            &format!("{}/actions", self.session),
            &json!({ "actions": [{ "type": "pointer", "id": "mouse", "actions": [
                { "type": "pointerMove", "duration": 0, "origin": origin, "x": 0, "y": 0 },
                { "type": button, "button": 0 },
            ] }] }),
        );
    }

    fn find(&self, css: &str) -> String {
        let wanted = json!({ "using": "css selector", "value": css });
        let found = send(&format!("{}/element", self.session), &wanted);
        let id = found.as_object().and_then(|found| found.values().next()?.as_str());
        format!("{}/element/{}", self.session, id.unwrap_or_else(|| panic!("{css}: {found}")))
    }

    /// Asks something of an element. The page may have been refreshed since the element was found: then it
    /// is found anew, as a person does who looks again.
    fn of(&self, css: &str, ask: impl Fn(&str) -> Value) -> Value {
        loop {
            let answer = ask(&self.find(css));
            if answer["error"] != "stale element reference" {
                assert!(answer["error"].is_null(), "{css}: {answer}");
                return answer;
            }
        }
    }

    pub(crate) fn click(&self, css: &str) {
        self.of(css, |element| post(&format!("{element}/click"), &json!({})));
    }

    pub(crate) fn write(&self, css: &str, text: &str) {
        self.of(css, |element| post(&format!("{element}/value"), &json!({ "text": text })));
    }

    pub(crate) fn text(&self, css: &str) -> String {
        let text = self.of(css, |element| value_of(agent().get(format!("{element}/text")).call()));
        text.as_str().expect("text").to_owned()
    }

    /// Presses and releases keys, whatever has the focus.
    pub(crate) fn keys(&self, keys: &str) {
        let pressed: Vec<_> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": pressed });
        send(&format!("{}/actions", self.session), &json!({ "actions": [keyboard] }));
    }

    /// All that a screen reader may be told of the page.
    pub(crate) fn accessible(&self) -> Vec<Value> {
        let mut tree = self.tell("Accessibility.getFullAXTree", &json!({}));
        serde_json::from_value(tree["nodes"].take()).expect("its nodes")
    }

    /// Has the browser do what pages and people cannot, such as look at them by another medium.
    pub(crate) fn tell(&self, command: &str, params: &Value) -> Value {
        let wanted = json!({ "cmd": command, "params": params });
        send(&format!("{}/goog/cdp/execute", self.session), &wanted)
    }

    /// Waits until a script in the page says yes.
    pub(crate) fn wait_for(&self, script: &str) {
        let until = Instant::now() + Duration::from_mins(1);
        while self.ask(script) != true {
            assert!(Instant::now() < until, "never: {script}");
            std::thread::yield_now();
        }
    }

    /// What a script in the page says.
    pub(crate) fn ask(&self, script: &str) -> Value {
        let wanted = json!({ "script": format!("return {script}"), "args": [] });
        send(&format!("{}/execute/sync", self.session), &wanted)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // the driver is ended anyway
        ureq::delete(&self.session).call().map(drop).unwrap_or_default();
    }
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn send(url: &str, body: &Value) -> Value {
    let answer = post(url, body);
    assert!(answer["error"].is_null(), "{url}: {answer}");
    answer
}

/// What the driver answers, which may be an error.
fn post(url: &str, body: &Value) -> Value {
    value_of(agent().post(url).send_json(body))
}

fn value_of(answer: Result<http::Response<ureq::Body>, ureq::Error>) -> Value {
    let answer: Value = answer.expect("an answer").body_mut().read_json().expect("JSON");
    answer["value"].clone()
}
