//! The expansion of a small flow, to read: `expansion.txt`. `UPDATE_EXPECT=1` writes it anew.

use expect_test::expect_file;

const FLOW: &str = r#"
    /// A door.
    #[state(
        /// One can walk in.
        Open(alias = "ajar"),
        Stuck(error),
        Shut
    )]
    #[initial(Open)]
    #[completed(Shut(destroy))]
    #[persist(
        /// Who was it.
        Name(String)
    )]
    #[persist(paper::Slip<u8>, rename = "receipt", alias = "bill")]
    #[transition(jam: Open => Stuck, persist(Name))]
    #[transition(
        /// With some force.
        close: Open | Stuck => Shut, persist(Name, Slip)
    )]
    #[transition(ask: Stuck => Stuck, load(Name), rename = "enquire")]
    #[transition(lock: * => Shut, after("3 days"))]
    pub(super) struct Door {
        pub height: u32,
    }
"#;

#[test]
fn a_door() {
    let output = crate::derive(FLOW.parse().unwrap());
    let text = prettyplease::unparse(&syn::parse2(output).unwrap());
    expect_file!["expansion.txt"].assert_eq(&text);
}
