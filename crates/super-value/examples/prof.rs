//! temporary
use std::hint::black_box;
use std::io::Read;
use super_value::Parser;
fn main() {
    let mode = std::env::args().nth(1).unwrap();
    let rounds: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut s = String::new();
    std::io::stdin().read_to_string(&mut s).unwrap();
    let docs: Vec<&str> = s.lines().collect();
    let mut p = Parser::new();
    let mut best = f64::MAX;
    let n = docs.len();
    for _ in 0..rounds {
        let t = std::time::Instant::now();
        for d in &docs {
            match mode.as_str() {
                "parse" => {
                    black_box(p.parse(d.as_bytes()).unwrap());
                }
                "sonic" => {
                    black_box(sonic_rs::from_slice::<sonic_rs::Value>(d.as_bytes()).unwrap());
                }
                _ => {
                    p.validate(d.as_bytes()).unwrap();
                }
            }
        }
        best = best.min(t.elapsed().as_nanos() as f64 / n as f64);
    }
    println!(
        "{mode} {best:.0} ns/doc, {:.0} MB/s",
        s.len() as f64 / n as f64 * 1000.0 / best
    );
}
