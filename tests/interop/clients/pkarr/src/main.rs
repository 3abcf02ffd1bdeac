//! The client of the crate pkarr, with one relay and no sockets of its own: its
//! argument is the URL of the relay. It serves requests, JSON documents, one a
//! line, on the standard input, and replies on the standard output:
//!
//!     {"do": "publish", "seed": "…", "text": "hello", "ttl": 300, "time": 5}
//!     {"do": "resolve", "key": "…", "policy": "NetworkOnly"}

use pkarr::{Client, Keypair, PublicKey, ResolvePolicy, SignedPacket, Timestamp};
use serde_json::{json, Value};
use std::error::Error;
use std::io::{stdin, BufRead};

type Answer = Result<Value, Box<dyn Error>>;

const NAME: &str = "_text";

fn text<'a>(request: &'a Value, name: &str) -> &'a str {
    request[name].as_str().unwrap_or("")
}

/// Each request has a client of its own: none finds the packet of another in its
/// cache.
fn client(relay: &str) -> Result<Client, Box<dyn Error>> {
    Ok(Client::builder()
        .no_default_network()
        .relays(&[relay])?
        .build()?)
}

fn sign(request: &Value) -> Result<SignedPacket, Box<dyn Error>> {
    let mut secret = [0; 32];
    let seed = text(request, "seed").as_bytes();
    secret[..seed.len()].copy_from_slice(seed);
    let keypair = Keypair::from_secret_key(&secret);
    let ttl = request["ttl"].as_u64().unwrap_or(300) as u32;
    Ok(SignedPacket::builder()
        .txt(NAME.try_into()?, text(request, "text").try_into()?, ttl)
        .timestamp(Timestamp::from(request["time"].as_u64().unwrap_or(0)))
        .sign(&keypair)?)
}

async fn publish(relay: &str, request: &Value) -> Answer {
    let packet = sign(request)?;
    let stored = client(relay)?.publish(&packet).await?;
    Ok(json!({ "key": packet.public_key().to_string(), "stored": stored }))
}

async fn resolve(relay: &str, request: &Value) -> Answer {
    let key: PublicKey = text(request, "key").try_into()?;
    let policy: ResolvePolicy = text(request, "policy").parse()?;
    let found = client(relay)?.resolve(&key, policy).await;
    let Some(packet) = found.ok() else {
        return Ok(json!({ "found": false }));
    };
    let records: Vec<String> = packet
        .resource_records(NAME)
        .map(|record| format!("{} {:?}", record.ttl, record.rdata))
        .collect();
    Ok(json!({
        "found": true,
        "time": packet.timestamp().as_u64(),
        "records": records,
    }))
}

async fn answer(relay: &str, line: &str) -> Answer {
    let request: Value = serde_json::from_str(line)?;
    match text(&request, "do") {
        "publish" => publish(relay, &request).await,
        "resolve" => resolve(relay, &request).await,
        other => Err(format!("unknown request {other}").into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let relay = std::env::args().nth(1).ok_or("the URL of a relay is needed")?;
    for line in stdin().lock().lines() {
        let reply = match answer(&relay, &line?).await {
            Ok(result) => json!({ "result": result }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{reply}");
    }
    Ok(())
}
