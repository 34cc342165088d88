//! Functions of the host for the files of `runtime`, in the form in which wasm-rquickjs looks for modules.

use crate::bindings::lambda::managed::{lifecycle, log};

const HOST: &str = "lamina:host";

pub fn add_native_module_resolvers(
    resolver: rquickjs::loader::BuiltinResolver,
) -> rquickjs::loader::BuiltinResolver {
    resolver.with_module(HOST)
}

pub fn module_loader() -> rquickjs::loader::ModuleLoader {
    rquickjs::loader::ModuleLoader::default().with_module(HOST, Host)
}

struct Host;

#[rquickjs::function]
fn write(event: String) {
    log::write(&event);
}

/// Ends the environment once the call in progress is answered.
#[rquickjs::function]
fn end() {
    lifecycle::end();
}

/// Ends the environment at once.
#[rquickjs::function]
fn exit(status: i32) {
    std::process::exit(status);
}

impl rquickjs::module::ModuleDef for Host {
    fn declare(declarations: &rquickjs::module::Declarations) -> rquickjs::Result<()> {
        for name in ["write", "end", "exit"] {
            declarations.declare(name)?;
        }
        Ok(())
    }

    fn evaluate<'js>(
        _: &rquickjs::Ctx<'js>,
        exports: &rquickjs::module::Exports<'js>,
    ) -> rquickjs::Result<()> {
        exports.export("write", js_write)?;
        exports.export("end", js_end)?;
        exports.export("exit", js_exit)?;
        Ok(())
    }
}
