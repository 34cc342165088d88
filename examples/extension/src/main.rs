//! An extension: a component that runs beside a function, in each of its environments.
//!
//! It is published in a layer, below `extensions/`, and functions get it with the layer:
//!
//! ```sh
//! cargo build --release --target wasm32-wasip2
//! mkdir extensions && cp target/wasm32-wasip2/release/extension.wasm extensions/counter.wasm
//! zip layer.zip extensions/counter.wasm
//! aws lambda publish-layer-version --layer-name counter --zip-file fileb://layer.zip
//! aws lambda update-function-configuration --function-name hello --layers <the ARN of the layer's version>
//! ```
//!
//! This one counts the invocations of its environment and sums up their durations, which `platform.report` has. What
//! it prints is in the log of the function.

use lamina_sdk::Error;
use lamina_sdk::extension::{Event, Extension, Telemetry};
use serde_json::Value;

fn main() -> Result<(), Error> {
    let (mut invocations, mut reports, mut millis) = (0_u32, 0_u32, 0_f64);
    let extension = Extension::new().telemetry(&[Telemetry::Platform]);
    extension.run(|event| {
        match event {
            Event::Invoke(_) => invocations += 1,
            Event::Telemetry(batch) => {
                let records: Vec<Value> = serde_json::from_str(&batch)?;
                for record in records.iter().filter(|it| it["type"] == "platform.report") {
                    reports += 1;
                    millis += record["record"]["metrics"]["durationMs"].as_f64().unwrap_or_default();
                }
            }
            Event::Shutdown(ending) => {
                let reason = ending.reason;
                println!("{invocations} invocations, {reports} reports of {millis:.3} ms in all, {reason:?}");
            }
        }
        Ok(())
    })
}
