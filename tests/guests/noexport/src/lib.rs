//! Component that exports only an unknown interface. CreateFunction refuses it and names the
//! export.

use exports::acme::warehouse::stock::Guest;

wit_bindgen::generate!({
    inline: "
        package acme:warehouse@1.0.0;

        interface stock {
            count: func(item: string) -> u32;
        }

        world warehouse {
            export stock;
        }
    ",
});

struct Warehouse;

export!(Warehouse);

impl Guest for Warehouse {
    fn count(item: String) -> u32 {
        u32::from(item == "bread")
    }
}
