//! Component of a code layer: as `lib/greeter.wasm` in a layer it satisfies the import `example:greeter/greeter` of
//! functions. Another version of the layer greets in another way, without a new build of the functions.

wit_bindgen::generate!({ path: "wit", world: "library" });

struct Library;

export!(Library);

impl exports::example::greeter::greeter::Guest for Library {
    fn greet(name: String) -> String {
        format!("Servus, {name}!")
    }
}
