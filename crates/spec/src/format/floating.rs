//! `load_balancer.floating`: an address that two balancers share.

use std::net::IpAddr;

use crate::diagnostic::codes;
use crate::grammar::{Key, Numbers, Others, Section, Shape, Text};
use crate::model::Floating;
use crate::reader::Field;

use super::values::IP;

/// `load_balancer.floating`.
pub(crate) const FLOATING: Section = Section {
    name: "floating",
    keys: &[
        Key::new("address", IP, "The address that clients know.", "address: 203.0.113.10").own().required(),
        Key::new("interface", INTERFACE, "The network interface that gets it.", "interface: eth0").own().required(),
        Key::new(
            "balancers",
            Shape::List(&IP),
            "The two balancers' own addresses; the first one is preferred.",
            "balancers: [203.0.113.8, 203.0.113.9]",
        )
        .own()
        .required(),
        Key::new(
            "router",
            Shape::Integer { min: 1, max: 255 },
            "Number of the virtual router (VRRP); another one for each pair in a network.",
            "router: 51",
        )
        .own()
        .default("51"),
    ],
    old: &[],
    others: Others::Refused,
};

/// Linux: up to 15 bytes, no slash, no blank (`dev_valid_name` of the kernel).
const INTERFACE: Shape = Shape::Text(&Text {
    expected: "the name of a network interface such as eth0",
    pattern: r"^[A-Za-z0-9_.-]{1,15}$",
    numbers: Numbers::None,
});

/// The number of the virtual router that keepalived's own examples have.
const ROUTER: u8 = 51;

/// The whole of it.
pub(super) fn read(field: &Field<'_>) -> Option<Floating> {
    let fields = field.fields()?;
    let ip = |field: &Field<'_>| field.parse(|text| text.parse::<IpAddr>().ok());
    let address = fields.get("address").and_then(|field| ip(&field));
    let interface = fields.get("interface").and_then(|field| field.parse(interface));
    let router = fields.get("router").and_then(|field| field.integer()).unwrap_or(ROUTER);
    let balancers = fields.get("balancers")?;
    let own: Vec<_> = balancers.items().iter().filter_map(ip).collect();
    let (address, interface) = (address?, interface?);
    let &[first, second] = own.as_slice() else {
        balancers.say_help(&codes::FLOATING, "two balancers share an address", "name the own address of each");
        return None;
    };
    let same_family = [first, second].iter().all(|own| own.is_ipv4() == address.is_ipv4());
    if first == second || !same_family || [first, second].contains(&address) {
        let message = "three different addresses of one family are needed: the floating one and each balancer's own";
        balancers.say(&codes::FLOATING, message);
        return None;
    }
    Some(Floating { address, interface, balancers: [first, second], router })
}

fn interface(text: &str) -> Option<String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    ((1..=15).contains(&text.len()) && text.bytes().all(good)).then(|| text.to_owned())
}
