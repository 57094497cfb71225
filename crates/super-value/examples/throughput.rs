//! How fast documents are parsed, beside serde_json, simd-json and sonic-rs: `cargo run --release -p super-value --example throughput`.
//!
//! Three kinds of document, many different ones of each so that none is remembered: an order, a change event as Debezium writes it, an array of orders.

use std::hint::black_box;
use std::time::Instant;

use super_value::Parser;

fn order(i: u64) -> String {
    format!(
        r#"{{"OrderID": {{"N": "{id}"}}, "CustomerID": {{"S": "cust-{customer}"}}, "OrderDate": {{"S": "2024-0{month}-1{day} 08:{day}5:12"}}, "Status": {{"S": "SHIPPED"}}, "TotalAmount": {{"N": "{amount}.50"}}, "Currency": "EUR", "Quantity": {quantity}, "UnitPrice": {price}.25, "Express": {express}, "Coupon": null, "Items": [{{"sku": "A-{id}", "qty": 2, "price": 10.99}}, {{"sku": "B-{customer}", "qty": 1, "price": {amount}}}], "Note": "leave at the door", "ShipTo": {{"Name": "Anne K.", "Street": "Main St. 5", "City": "Springfield"}}}}"#,
        id = 100_000 + i,
        customer = 5000 + i * 7 % 1000,
        month = 1 + i % 9,
        day = i % 10,
        amount = 100 + i % 900,
        quantity = i % 50,
        price = i % 200,
        express = i.is_multiple_of(2),
    )
}

fn change_event(i: u64) -> String {
    let row = |version: u64| {
        format!(
            r#"{{"id":{id},"first_name":"Anne-Marie","last_name":"Kretchmar \"K\"","email":"annek{id}@noanswer.org","created_at":1700000{id},"updated_at":170000{version}500123,"balance":"{id}.{version}0","street":"1{id} Fifth Avenue","city":"Zürich","zip":"8001","country":"CH","phone":"+41 44 555 {id}","tags":["gold","newsletter","beta"],"active":true,"score":{version}.75,"comment":null}}"#,
            id = 1000 + i
        )
    };
    format!(
        r#"{{"schema":{{"type":"struct","optional":false,"name":"dbserver1.inventory.customers.Envelope","version":1}},"payload":{{"before":{before},"after":{after},"source":{{"version":"2.7.0.Final","connector":"postgresql","name":"dbserver1","ts_ms":17000000{id},"snapshot":"false","db":"inventory","sequence":"[\"24023119\",\"24023128\"]","ts_us":1700000000{id}000,"schema":"public","table":"customers","txId":{id},"lsn":2402{id},"xmin":null}},"transaction":null,"op":"u","ts_ms":17000000{id}}}}}"#,
        before = row(1),
        after = row(2),
        id = 1000 + i
    )
}

/// Megabytes per second of `work` over all documents: the best of five rounds of half a second.
fn rate(documents: &[String], mut work: impl FnMut(&[u8])) -> f64 {
    let bytes: usize = documents.iter().map(String::len).sum();
    let round = |work: &mut dyn FnMut(&[u8])| {
        let started = Instant::now();
        let mut done = 0;
        while started.elapsed().as_millis() < 500 {
            documents
                .iter()
                .for_each(|document| work(document.as_bytes()));
            done += bytes;
        }
        done as f64 / 1e6 / started.elapsed().as_secs_f64()
    };
    (0..5).map(|_| round(&mut work)).fold(0.0, f64::max)
}

/// A large document: an array of orders.
fn array(i: u64) -> String {
    let orders: Vec<String> = (0..600).map(|n| order(i * 600 + n)).collect();
    format!(r#"{{"items": [{}]}}"#, orders.join(", "))
}

/// The peers change the text they read, so each gets a copy, made before the clock runs.
fn rate_of_copies(documents: &[String], mut work: impl FnMut(&mut [u8])) -> f64 {
    let bytes: usize = documents.iter().map(String::len).sum();
    let mut best = 0.0f64;
    for _ in 0..10 {
        let mut copies: Vec<Vec<u8>> = documents.iter().map(|d| d.clone().into_bytes()).collect();
        let started = Instant::now();
        copies.iter_mut().for_each(|copy| work(copy));
        best = best.max(bytes as f64 / 1e6 / started.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let kinds = [
        ("order", order as fn(u64) -> String, 5000),
        ("cdc", change_event, 2000),
        ("array", array, 20),
    ];
    // `throughput KIND COUNT` prints documents, for benches/json_engine.py.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [kind, count] = arguments.as_slice() {
        let (_, make, _) = kinds
            .iter()
            .find(|(name, ..)| name == kind)
            .expect("a kind of document");
        let count = count.parse().expect("a number");
        (0..count).for_each(|i| println!("{}", make(i)));
        return;
    }
    println!(
        "{:<8} {:>7} {:>8} {:>9} {:>11} {:>10} {:>9}   MB/s; the last three build trees of their own",
        "document", "bytes", "parse", "validate", "serde_json", "simd-json", "sonic-rs"
    );
    for (name, make, count) in kinds {
        let documents: Vec<String> = (0..count).map(make).collect();
        let mut parser = Parser::new();
        let parse = rate(&documents, |document| {
            black_box(parser.parse(document).unwrap());
        });
        let validate = rate(&documents, |document| parser.validate(document).unwrap());
        let serde = rate(&documents, |document| {
            black_box(serde_json::from_slice::<serde_json::Value>(document).unwrap());
        });
        let simd = rate_of_copies(&documents, |document| {
            black_box(simd_json::to_borrowed_value(document).unwrap());
        });
        let sonic = rate(&documents, |document| {
            black_box(sonic_rs::from_slice::<sonic_rs::Value>(document).unwrap());
        });
        println!(
            "{name:<8} {:>7} {parse:>8.0} {validate:>9.0} {serde:>11.0} {simd:>10.0} {sonic:>9.0}",
            documents[0].len()
        );
    }
}
