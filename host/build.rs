//! Turns AWS's published service model into Rust: the closed set of operations and their routes, the
//! constraints of every request, the requests and responses of the operations that are built, and
//! every error. It fails loudly on what it does not understand: nothing is guessed at run time.

use std::path::Path;
use std::{env, fs};

#[path = "build/constraints.rs"]
mod constraints;
#[path = "build/faults.rs"]
mod faults;
#[path = "build/model.rs"]
mod model;
#[path = "build/operations.rs"]
mod operations;
#[path = "build/resources.rs"]
mod resources;
#[path = "build/structs.rs"]
mod structs;

const MODEL: &str = "model/lambda-2015-03-31.json";
/// Operations that are routed and answer that they are not built. It may only shrink.
const UNBUILT: &str = "model/unbuilt.txt";

fn main() {
    for path in [MODEL, UNBUILT, "build.rs", "build"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let text = fs::read_to_string(MODEL).expect("the service model can be read");
    let model = model::Model::read(&text);
    let unbuilt = fs::read_to_string(UNBUILT).expect("the coverage file can be read");
    let unbuilt = model.coverage(&unbuilt);
    let out = env::var_os("OUT_DIR").expect("cargo says where generated files go");
    let write = |name: &str, code: String| {
        fs::write(Path::new(&out).join(name), code).expect("generated code can be written");
    };
    write("operations.rs", operations::generate(&model));
    write("dispatch.rs", operations::dispatch(&model, &unbuilt));
    write("constraints.rs", constraints::generate(&model));
    write("structs.rs", structs::generate(&model, &unbuilt));
    write("faults.rs", faults::generate(&model));
}
