//! The dashboard: what it shows, and that it is closed.
#![cfg(all(feature = "dashboard", feature = "sqlite"))]

mod access;
mod accessible;
mod any_request;
mod html;
mod killed;
#[path = "../many/mod.rs"]
mod many;
mod office;
mod pages;
#[cfg(any(feature = "mysql", feature = "postgres"))]
#[path = "../server/mod.rs"]
mod server;
