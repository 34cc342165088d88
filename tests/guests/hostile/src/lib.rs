//! Hostile function: does the bad action that the event names, or a harmless one to inspect the
//! sandbox. `{"do": "loop"}` never returns, `{"do": "list", "path": "/"}` lists a directory; see
//! [`act::Act`] for all. The variable `INIT` makes the initialisation fail.

mod act;
mod batch;
mod network;

use exports::lambda::function::handler::{Context, Failure, Guest};

wit_bindgen::generate!({ path: "../../../wit", world: "function" });

struct Hostile;

export!(Hostile);

impl Guest for Hostile {
    fn init() -> Result<(), Failure> {
        let wish = std::env::var("INIT").unwrap_or_default();
        let (wish, amount) = wish.split_once(':').unwrap_or((&wish, "0"));
        match wish {
            "" | "ok" => Ok(()),
            "fail" => Err(failure("InitRefused", "INIT asked for it")),
            "trap" => act::trap(),
            "panic" => panic!("INIT asked for it"),
            "loop" => act::spin(),
            "exit" => std::process::exit(amount.parse().expect("INIT=exit:CODE")),
            "sleep" => Ok(act::sleep(amount.parse().expect("INIT=sleep:MILLISECONDS"))),
            other => panic!("INIT={other} is not known"),
        }
    }

    fn invoke(event: String, context: Context) -> Result<String, Failure> {
        if let Ok(batch) = serde_json::from_str::<batch::Batch>(&event) {
            return batch.perform(&context);
        }
        match serde_json::from_str(&event) {
            Ok(act) => act::perform(act, &event, &context),
            Err(error) => Err(failure("UnknownAct", &error.to_string())),
        }
    }

    fn before_checkpoint() -> Result<(), Failure> {
        Ok(())
    }

    fn after_restore() -> Result<(), Failure> {
        Ok(())
    }
}

fn failure(error_type: &str, error_message: &str) -> Failure {
    Failure {
        error_type: error_type.to_owned(),
        error_message: error_message.to_owned(),
        stack_trace: Vec::new(),
    }
}
