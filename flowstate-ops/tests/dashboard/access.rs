//! Who may look, and who may move records.

use flowstate_diesel::operator::show;
use flowstate_ops::dashboard::{Access, loopback};
use http::Request;

use crate::office::{Office, post, text};

/// Nobody is let in before somebody says who is.
#[test]
fn it_is_closed_until_told_otherwise() {
    let mut office = Office::new();
    for path in ["/", "/records", "/record?id=1", "/style.css", "/act"] {
        for method in ["GET", "POST"] {
            let request = Request::builder().method(method).uri(path).body(Vec::new());
            let answer = office.ask(&request.expect("a request"));
            assert_eq!(answer.status(), 403, "{method} {path}");
            assert!(!text(&answer).contains("bill"));
        }
    }
}

/// A page whose name was made to point to this machine is not let in, and this machine only looks.
#[test]
fn loopback_checks_the_host_and_reads_only() {
    let access = |host: &str| {
        let request = Request::get("/").header("host", host).body(()).expect("a request");
        loopback(&request.into_parts().0)
    };
    let reader = Access::Read("loopback".to_owned());
    for host in ["localhost", "localhost:8311", "127.0.0.1:8311", "[::1]:8311", "[::1]"] {
        assert_eq!(access(host), reader, "{host}");
    }
    for host in
        ["evil.example", "evil.example:8311", "127.0.0.1.evil.example", "localhost.evil", ""]
    {
        assert_eq!(access(host), Access::None, "{host}");
    }
    assert_eq!(
        loopback(&Request::get("/").body(()).expect("a request").into_parts().0),
        Access::None
    );
}

/// What an operator posts is done, with name and reason in the history; the same from elsewhere, with
/// another token, or by a reader, is not.
#[test]
fn only_a_page_of_this_dashboard_moves_records() {
    let mut office = Office::new();
    let id = office.refused("no");
    let form = office.form(&format!("/plan?action=retry&id={id}&seq=2"));
    let anna = |builder: http::request::Builder| builder.header("x-operator", "anna");
    let plain = || Request::post("/act").header("host", "ops.example");
    let refused = [
        ("a foreign origin", anna(plain().header("origin", "https://evil.example")), form.clone()),
        ("a hidden origin", anna(plain().header("origin", "null")), form.clone()),
        ("no origin", anna(plain()), form.clone()),
        ("another site", anna(post(&form).header("sec-fetch-site", "cross-site")), form.clone()),
        ("the same site", anna(post(&form).header("sec-fetch-site", "same-site")), form.clone()),
        ("no token", anna(post(&form)), form.replace("token=", "token=0")),
        ("a missing token", anna(post(&form)), form.replace("token=", "other=")),
        ("somebody else's token", post(&form).header("x-operator", "berta"), form.clone()),
        ("a reader", post(&form).header("x-reader", "anna"), form.clone()),
        ("nobody", post(&form), form.clone()),
    ];
    for (what, builder, body) in refused {
        let answer = office.ask(&builder.body(body.into_bytes()).expect("a request"));
        assert_eq!(answer.status(), 403, "{what}: {}", text(&answer));
        assert_eq!(office.seq(id), 2, "{what}");
    }
    let unreasoned = form.replace("the+bank+is+back", "");
    let answer = office.ask(&anna(post(&form)).body(unreasoned.into_bytes()).expect("a request"));
    assert_eq!(answer.status(), 400);
    let long = anna(post(&form)).body([form.as_bytes(), &vec![b'x'; 70_000]].concat());
    assert_eq!(office.ask(&long.expect("a request")).status(), 413);
    assert_eq!(office.seq(id), 2);

    let sent = || anna(post(&form)).body(form.clone().into_bytes()).expect("a request");
    let answer = office.ask(&sent());
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    let history = show(id, &mut office.conn).expect("shown").history;
    let last = history.last().expect("a row");
    assert_eq!((&*last.transition, last.actor.as_deref()), ("operator.retry", Some("anna")));
    assert_eq!(
        last.metadata.as_ref().map(|said| &said["reason"]),
        Some(&"the bank is back".into())
    );
    // it has moved since the page was shown
    assert_eq!(office.ask(&sent()).status(), 409);

    // HTTP/2 names the host in the address, and there alone
    let form = office.form(&format!("/plan?action=retry&id={id}"));
    let address = "https://ops.example/act";
    for (origin, status) in [("https://evil.example", 403), ("https://ops.example", 200)] {
        let request = anna(Request::post(address).header("origin", origin));
        let request = request.body(form.clone().into_bytes()).expect("a request");
        assert_eq!(office.ask(&request).status(), status, "{origin}");
    }
}

/// A reader sees no way to move anything, and a GET never does.
#[test]
fn readers_look_and_do_not_touch() {
    let mut office = Office::new();
    let id = office.refused("no");
    let mut read = |path: &str| {
        let request = Request::get(path).header("x-reader", "rita").body(Vec::new());
        office.ask(&request.expect("a request"))
    };
    let page = text(&read(&format!("/record?id={id}")));
    assert!(!page.contains("/plan") && !page.contains("<form method=\"post\""), "{page}");
    assert_eq!(read(&format!("/plan?action=retry&id={id}")).status(), 403);
    assert_eq!(read("/act").status(), 404);
    assert_eq!(office.seq(id), 2);
}

/// Every answer says that nothing is loaded from elsewhere, run inline, framed, guessed or kept.
#[test]
fn every_answer_is_guarded() {
    let mut office = Office::new();
    for path in ["/", "/nowhere", "/style.css", "/script.js", "/record?id=1", "/record?id=x"] {
        let request = Request::get(path).header("x-reader", "rita").body(Vec::new());
        let answer = office.ask(&request.expect("a request"));
        let says = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        let policy = says("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(says("x-content-type-options"), "nosniff");
        assert_eq!(says("cache-control"), "no-store");
        let page = text(&answer);
        assert!(!page.contains(" style=") && !page.contains(" onclick") && !page.contains("//cdn"));
        assert!(!page.contains("http:") && !page.contains("https:"), "{path} names other places");
    }
}
