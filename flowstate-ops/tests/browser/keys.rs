//! Who has no mouse can do the same, and who does not see the page is told the same.

use std::collections::BTreeSet;

use flowstate_diesel::operator::show;
use flowstate_diesel::prelude::*;

use crate::driver::{Browser, LOOKS};
use crate::{example, refused, shop};

/// Keys, as `WebDriver` names them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Goes from one to the next until it is this one. Each is seen to have the focus.
fn tab_to(browser: &Browser, css: &str) {
    let outline = "(() => { const look = getComputedStyle(document.activeElement); \
         return look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) >= 2; })()";
    for _ in 0..60 {
        browser.keys(TAB);
        assert_eq!(browser.ask(outline), true, "it is not seen on the way to {css}");
        if browser.ask(&format!("document.activeElement.matches({css:?})")) == true {
            return;
        }
    }
    panic!("{css} cannot be reached by the keys");
}

/// Does what has the focus, and waits for the page on which this is.
fn enter(browser: &Browser, css: &str) {
    browser.keys(ENTER);
    browser.wait_for(&format!("document.querySelector({css:?}) !== null"));
}

/// What is stuck is found and retried by the keys alone: what has the focus is seen to have it, and a
/// refresh leaves it there.
#[test]
fn the_keys_alone_do_it_too() {
    let (_folder, file) = shop();
    let id = refused(&file);
    let (_server, root) = example("dashboard_tiny_http", &file);
    let browser = Browser::open();

    browser.go(&root);
    browser.keys(TAB);
    assert_eq!(browser.ask("document.activeElement.className"), "skip");
    browser.keys(ENTER);
    browser.keys(TAB);
    assert_eq!(browser.ask("document.activeElement.matches('main *')"), true, "skipped to it");
    browser.go(&root);
    tab_to(&browser, ".note.bad a");
    enter(&browser, "#records");

    for css in [".scroll", "#records tbody a"] {
        tab_to(&browser, css);
        browser.ask(LOOKS);
        refused(&file);
        browser.wait_for("window.looks >= 4");
        let stays = browser.ask(&format!("document.activeElement.matches({css:?})"));
        assert_eq!(stays, true, "nothing is replaced under the focus: {css}");
    }
    enter(&browser, "#state");

    tab_to(&browser, "#retry");
    enter(&browser, "#planned");
    tab_to(&browser, "input[name=reason]");
    browser.keys("the bank is back");
    tab_to(&browser, "form[method=post] button");
    enter(&browser, "#done");
    let conn = &mut SqliteConnection::establish(&file).expect("a connection");
    assert!(show(id, conn).expect("shown").standing.stuck.is_none());
}

/// What the browser tells a screen reader: links, fields, tables and pictures have names on every page.
#[test]
fn a_screen_reader_is_told_names() {
    const NAMED: [&str; 12] = [
        "link",
        "button",
        "textbox",
        "checkbox",
        "table",
        "columnheader",
        "navigation",
        "region",
        "heading",
        "image",
        "img",
        "DisclosureTriangle",
    ];
    let (_folder, file) = shop();
    let id = refused(&file);
    let (_server, root) = example("dashboard_tiny_http", &file);
    let browser = Browser::open();
    let mut told = BTreeSet::new();
    for path in [
        "/",
        "/flow?name=bill",
        "/records",
        &format!("/record?id={id}"),
        "/failures",
        "/workers",
        &format!("/plan?action=retry&id={id}"),
    ] {
        browser.go(&format!("{root}{path}"));
        for node in browser.accessible() {
            let role = node["role"]["value"].as_str().unwrap_or_default();
            if node["ignored"] != true && NAMED.contains(&role) {
                let name = node["name"]["value"].as_str().unwrap_or_default();
                assert!(!name.trim().is_empty(), "{path}: {node}");
                told.insert(role.to_owned());
            }
        }
    }
    for role in &NAMED[..9] {
        assert!(told.contains(*role), "no {role} in {told:?}");
    }
    assert!(told.contains("image") || told.contains("img"), "no picture in {told:?}");
}
