//! Sample records. Every value follows from the record's number, so that a test can say what record 4711 must hold.

use clap::ValueEnum;
use std::fmt::Write;

/// What a record looks like. All are JSON objects with the attributes OrderID, OrderDate and Price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shape {
    /// A nested order of 460 bytes
    Order,
    /// A DynamoDB change record of 1.5 kB; the attributes of the order are typed as {"N": "1"}
    Cdc,
    /// The flat order of the AWS article on streaming ingestion
    Article,
}

/// Length of an `Order`, in bytes; the note is padded to it.
const ORDER_BYTES: usize = 460;
/// Length of a `Cdc`, in bytes.
const CDC_BYTES: usize = 1_500;
/// The first record's date; record n is n seconds later.
const EPOCH_DAYS: u64 = 20_454; // 2026-01-01, in days since 1970

const PRODUCTS: [&str; 8] = [
    "Desk lamp",
    "Office chair",
    "Notebook",
    "Backpack",
    "Water bottle",
    "Headphones",
    "Keyboard",
    "Coffee grinder",
];
const CUSTOMERS: [&str; 8] = [
    "Ana Silva",
    "Ben Okafor",
    "Chloé Martin",
    "Daniel Weber",
    "Emi Tanaka",
    "Farid Haddad",
    "Grace Kim",
    "Héctor Díaz",
];
const STORES: [&str; 5] = [
    "Berlin Mitte",
    "Lyon Part-Dieu",
    "Porto Centro",
    "Osaka Umeda",
    "Austin Downtown",
];
const STATUSES: [&str; 4] = ["NEW", "PAID", "SHIPPED", "DELIVERED"];

/// The values that all shapes share.
struct Order {
    number: u64,
    date: String,
    quantity: u64,
    cents: u64,
}

impl Order {
    fn new(number: u64) -> Order {
        Order {
            number,
            date: date(number),
            quantity: 1 + number % 9,
            cents: 100 + number.wrapping_mul(7_919) % 99_900,
        }
    }

    fn price(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }

    fn product_number(&self) -> u64 {
        self.number.wrapping_mul(31) % 10_000
    }

    fn customer_number(&self) -> u64 {
        self.number.wrapping_mul(104_729) % 1_000_000
    }

    fn product(&self) -> &'static str {
        pick(&PRODUCTS, self.number)
    }

    fn customer(&self) -> &'static str {
        pick(&CUSTOMERS, self.customer_number())
    }

    fn store(&self) -> &'static str {
        pick(&STORES, self.number / 3)
    }

    fn status(&self) -> &'static str {
        pick(&STATUSES, self.number)
    }
}

fn pick(names: &[&'static str], number: u64) -> &'static str {
    names[(number % names.len() as u64) as usize]
}

/// ISO 8601 in UTC, a second a record.
fn date(number: u64) -> String {
    let (days, second) = (EPOCH_DAYS + number / 86_400, number % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Days since 1970 as a date of the Gregorian calendar (<https://howardhinnant.github.io/date_algorithms.html>).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Replaces the contents of `text` with record `number`.
pub fn write(shape: Shape, number: u64, text: &mut String) {
    text.clear();
    let order = Order::new(number);
    match shape {
        Shape::Article => article(&order, text),
        Shape::Order => nested(&order, text),
        Shape::Cdc => change(&order, text),
    }
    .expect("a String takes all that is written");
}

fn article(order: &Order, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        r#"{{"OrderID": {}, "ProductID": "P{:05}", "ProductName": "{}", "CustomerID": "C{:06}", "CustomerName": "{}", "#,
        order.number,
        order.product_number(),
        order.product(),
        order.customer_number(),
        order.customer()
    )?;
    write!(
        text,
        r#""Store_Name": "{}", "OrderDate": "{}", "Quatity": {}, "Price": {}, "OrderStatus": "{}"}}"#,
        order.store(),
        order.date,
        order.quantity,
        order.price(),
        order.status()
    )
}

fn nested(order: &Order, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        r#"{{"OrderID": {}, "OrderDate": "{}", "Price": {}, "CustomerID": "C{:06}", "status": "{}", "currency": "EUR", "paid": {}, "coupon": null, "items": ["#,
        order.number,
        order.date,
        order.price(),
        order.customer_number(),
        order.status(),
        order.number.is_multiple_of(2)
    )?;
    for item in 0..2 {
        let comma = if item == 0 { "" } else { ", " };
        let sku = order.product_number() + item;
        write!(
            text,
            r#"{comma}{{"sku": "P{sku:05}", "qty": {}, "price": {}.50}}"#,
            order.quantity,
            10 + sku % 90
        )?;
    }
    write!(
        text,
        r#"], "address": {{"street": "Long Street {}", "city": "Berlin", "zip": "10115", "country": "DE"}}, "note": ""#,
        1 + order.number % 200
    )?;
    pad(text, ORDER_BYTES - 2, order.number);
    text.push_str("\"}");
    Ok(())
}

/// A change record that answers both of the articles' queries: an item's attributes at the top level, and DynamoDB's
/// stream record with keys and images.
fn change(order: &Order, text: &mut String) -> std::fmt::Result {
    text.push('{');
    typed_attributes(order, order.status(), text)?;
    write!(
        text,
        r#", "awsRegion": "us-east-1", "eventID": "{:032x}", "eventName": "MODIFY", "userIdentity": null, "recordFormat": "application/json", "tableName": "Orders", "dynamodb": {{"ApproximateCreationDateTime": {}, "Keys": {{"pk": {{"S": "CUSTOMER#{}"}}, "sk": {{"S": "CUSTOMER#TRANSACTION{}"}}}}, "NewImage": {{"#,
        u128::from(order.number).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        EPOCH_DAYS * 86_400_000 + order.number * 1_000,
        order.customer_number(),
        order.number
    )?;
    write!(
        text,
        r#""OutofPockMax": {{"N": "{}"}}, "OutofPockPercent": {{"N": "{}.25"}}, "OutofPockAmount": {{"N": "{}"}}, "Provider": {{"S": "{}"}}, "completionDateTime": {{"S": "{}"}}, "calculationRequirements": {{"M": {{"dependentIds": {{"L": ["#,
        1_000 + order.number % 9_000,
        order.number % 100,
        order.number % 500,
        order.store(),
        order.date
    )?;
    for dependent in 0..2 {
        let comma = if dependent == 0 { "" } else { ", " };
        write!(
            text,
            r##"{comma}{{"M": {{"sk": {{"S": "#CUSTOMER{}"}}}}}}"##,
            order.customer_number() + dependent
        )?;
    }
    text.push_str(r#"]}}}}, "OldImage": {"#);
    typed_attributes(order, "NEW", text)?;
    text.push_str(r#"}, "SizeBytes": 512}, "eventSource": "aws:dynamodb", "note": ""#);
    pad(text, CDC_BYTES - 2, order.number);
    text.push_str("\"}");
    Ok(())
}

/// The article's attributes, typed by DynamoDB's letters, without the braces around them.
fn typed_attributes(order: &Order, status: &str, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        r#""OrderID": {{"N": "{}"}}, "ProductID": {{"S": "P{:05}"}}, "ProductName": {{"S": "{}"}}, "CustomerID": {{"S": "C{:06}"}}, "CustomerName": {{"S": "{}"}}, "Store_Name": {{"S": "{}"}}, "OrderDate": {{"S": "{}"}}, "Quatity": {{"N": "{}"}}, "Price": {{"N": "{}"}}, "OrderStatus": {{"S": "{status}"}}"#,
        order.number,
        order.product_number(),
        order.product(),
        order.customer_number(),
        order.customer(),
        order.store(),
        order.date,
        order.quantity,
        order.price()
    )
}

/// Appends letters that differ from record to record until the text has `bytes` bytes.
fn pad(text: &mut String, bytes: usize, number: u64) {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while text.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push((b'a' + (state >> 59) as u8 % 26) as char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(shape: Shape, number: u64) -> String {
        let mut text = String::new();
        write(shape, number, &mut text);
        text
    }

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(date(0), "2026-01-01T00:00:00Z");
        assert_eq!(date(59 * 86_400 + 3_661), "2026-03-01T01:01:01Z");
        assert_eq!(civil(11_016), (2000, 2, 29));
    }

    #[test]
    fn article_is_the_flat_order() {
        assert_eq!(
            text(Shape::Article, 7),
            r#"{"OrderID": 7, "ProductID": "P00217", "ProductName": "Coffee grinder", "CustomerID": "C733103", "CustomerName": "Héctor Díaz", "Store_Name": "Porto Centro", "OrderDate": "2026-01-01T00:00:07Z", "Quatity": 8, "Price": 555.33, "OrderStatus": "DELIVERED"}"#
        );
    }

    #[test]
    fn orders_have_a_fixed_length() {
        for number in [0, 1, 999_999, 123_456_789] {
            assert_eq!(
                text(Shape::Order, number).len(),
                ORDER_BYTES,
                "record {number}"
            );
        }
    }

    #[test]
    fn changes_have_about_a_fixed_length() {
        for number in [0, 999_999, 123_456_789] {
            assert!(
                (CDC_BYTES..CDC_BYTES + 200).contains(&text(Shape::Cdc, number).len()),
                "record {number}"
            );
        }
    }
}
