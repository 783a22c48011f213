//! What a browser makes of pages that show many records: their numbers, on a phone and in the dark.

use flowstate_diesel::diesel::connection::SimpleConnection as _;
use flowstate_diesel::prelude::*;
use serde_json::json;

use crate::driver::Browser;
use crate::{example, keep, refused, shop};

/// How wide a small phone is.
const PHONE: i64 = 360;

/// The main numbers of failures, list and workers are read, and all of a group are retried from there.
#[test]
fn all_of_a_group_are_counted_and_retried() {
    let (_folder, file) = shop();
    let ids: Vec<_> = (0..3).map(|_| refused(&file)).collect();
    let conn = &mut SqliteConnection::establish(&file).expect("a connection");
    let worker = "INSERT INTO flowstate_workers VALUES ('worker 1', 'shop', '1', 'host', 4711, \
                  strftime('%Y-%m-%d %H:%M:%f000', 'now', '-1 hour'), \
                  strftime('%Y-%m-%d %H:%M:%f000', 'now'), '{\"bill\":[\"open\"]}', 8, 2)";
    conn.batch_execute(worker).expect("a worker");
    let (_server, root) = example("dashboard_tiny_http", &file);
    let browser = Browser::open();

    let workers = format!("{root}/workers");
    browser.go(&workers);
    let numbers = "[...document.querySelectorAll('#workers tbody td.n')].map(of => of.innerText)";
    assert_eq!(browser.ask(numbers), json!(["4711", "8", "2"]));
    keep(&[("workers", workers)]);

    browser.go(&format!("{root}/records"));
    let shown =
        "[...document.querySelectorAll('#records tbody a')].map(of => Number(of.innerText))";
    assert_eq!(browser.ask(shown), json!(ids));

    browser.go(&format!("{root}/failures"));
    assert_eq!(browser.text("#failures tbody td.n"), "3");
    browser.click("#failures a[href*='/plan']");
    assert_eq!(browser.text("#planned"), "3");
    browser.write("input[name=reason]", "the bank is back");
    browser.click("form[method=post] button");
    assert!(browser.text("#done").starts_with("3 records moved, 0 refused"));
}

/// No page is wider than a phone: a table that is scrolls by itself. In the dark every page has other
/// colours.
#[test]
fn pages_fit_a_phone_and_the_dark() {
    let (_folder, file) = shop();
    let id = refused(&file);
    let (_server, root) = example("dashboard_tiny_http", &file);
    let browser = Browser::open();
    browser.tell(
        "Emulation.setDeviceMetricsOverride",
        &json!({ "width": PHONE, "height": 700, "deviceScaleFactor": 1, "mobile": true }),
    );
    let colours = "(() => { const look = getComputedStyle(document.body); \
                   return [look.color, look.backgroundColor]; })()";
    for path in [
        "/".to_owned(),
        "/flow?name=bill".to_owned(),
        "/records".to_owned(),
        format!("/record?id={id}"),
        "/failures".to_owned(),
        "/workers".to_owned(),
        format!("/plan?action=retry&id={id}"),
    ] {
        browser.go(&format!("{root}{path}"));
        assert!(!browser.text("h1").is_empty(), "{path}");
        let width = browser.ask("document.documentElement.scrollWidth");
        assert_eq!(width, PHONE, "{path} scrolls to the side");
        let [light, dark] = ["light", "dark"].map(|scheme| {
            let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
            browser.tell("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
            browser.ask(colours)
        });
        for part in [0, 1] {
            assert_ne!(light[part], dark[part], "{path}");
        }
    }
}
