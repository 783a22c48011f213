//! The long one: worker processes are killed and started again, the database too, and in the end
//! every flow has ended as it must.

use std::process::ExitCode;

use flowstate_tests::chaos;

fn main() -> ExitCode {
    chaos::main(std::env::args().skip(1))
}
