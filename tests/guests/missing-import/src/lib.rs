//! Component that imports an interface unknown to any host. CreateFunction refuses it and names the
//! import.

use acme::warehouse::stock;
use exports::lambda::function::handler::{Context, Failure, Guest};

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package acme:warehouse@1.0.0;

        interface stock {
            count: func(item: string) -> u32;
        }

        world shop {
            include lambda:function/function@1.0.0;
            import stock;
        }
    ",
    world: "acme:warehouse/shop",
    generate_all,
});

struct Shop;

export!(Shop);

impl Guest for Shop {
    fn init() -> Result<(), Failure> {
        Ok(())
    }

    fn invoke(event: String, _: Context) -> Result<String, Failure> {
        Ok(stock::count(&event).to_string())
    }

    fn before_checkpoint() -> Result<(), Failure> {
        Ok(())
    }

    fn after_restore() -> Result<(), Failure> {
        Ok(())
    }
}
