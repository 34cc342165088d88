//! Code generator from AWS's service model: operations and routes, request constraints, structures
//! of the implemented operations, and errors. An unknown construct in the model fails the build, so
//! nothing is guessed at run time.

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
/// Unimplemented operations: routed, and answered as such. The list may only shrink.
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
    write("foresee.rs", operations::foresee(&model, &unbuilt));
    write("constraints.rs", constraints::generate(&model));
    write("structs.rs", structs::generate(&model, &unbuilt));
    write("faults.rs", faults::generate(&model));
}
