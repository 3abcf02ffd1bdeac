//! A node of the crate mainline, which serves requests: JSON documents, one a
//! line, on the standard input; replies on the standard output. The requests are
//! in tests/interop/README.md.

#![allow(deprecated)] // its blocking functions, in favour of async ones

use mainline::{Dht, Id, MutableItem, SigningKey};
use serde_json::{json, Value};
use std::error::Error;
use std::io::{stdin, BufRead};
use std::net::SocketAddrV4;

type Answer = Result<Value, Box<dyn Error>>;

fn text<'a>(request: &'a Value, name: &str) -> &'a str {
    request[name].as_str().unwrap_or("")
}

fn bytes(request: &Value, name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = text(request, name);
    let mut bytes = Vec::new();
    for i in (0..digits.len()).step_by(2) {
        bytes.push(u8::from_str_radix(&digits[i..i + 2], 16)?);
    }
    Ok(bytes)
}

fn key(request: &Value, name: &str) -> Result<[u8; 32], Box<dyn Error>> {
    Ok(bytes(request, name)?.as_slice().try_into()?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn id(request: &Value, name: &str) -> Result<Id, Box<dyn Error>> {
    Ok(Id::from_bytes(bytes(request, name)?)?)
}

/// No salt and an empty one are the same.
fn salt(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}

fn join(dht: &Dht) -> Answer {
    dht.bootstrapped();
    Ok(json!({ "nodes": dht.to_bootstrap().len() }))
}

fn announce(dht: &Dht, request: &Value) -> Answer {
    let port = request["port"].as_u64().map(|port| port as u16);
    dht.announce_peer(id(request, "info_hash")?, port)?;
    Ok(json!({}))
}

fn get_peers(dht: &Dht, request: &Value) -> Answer {
    let found = dht.get_peers(id(request, "info_hash")?);
    let peers: Vec<String> = found.flatten().map(|peer| peer.to_string()).collect();
    Ok(json!({ "peers": peers }))
}

fn put_immutable(dht: &Dht, request: &Value) -> Answer {
    let target = dht.put_immutable(&bytes(request, "value")?)?;
    Ok(json!({ "target": hex(target.as_bytes()) }))
}

fn get_immutable(dht: &Dht, request: &Value) -> Answer {
    let value = dht.get_immutable(id(request, "target")?);
    Ok(json!({ "value": value.map(|value| hex(&value)) }))
}

fn put_mutable(dht: &Dht, request: &Value) -> Answer {
    let secret = SigningKey::from_bytes(&key(request, "seed")?);
    let salted = bytes(request, "salt")?;
    let seq = request["seq"].as_i64().ok_or("no seq")?;
    let item = MutableItem::new(secret, &bytes(request, "value")?, seq, salt(&salted));
    let target = dht.put_mutable(item, request["cas"].as_i64())?;
    Ok(json!({ "target": hex(target.as_bytes()) }))
}

fn get_mutable(dht: &Dht, request: &Value) -> Answer {
    let salted = bytes(request, "salt")?;
    let found = dht.get_mutable_most_recent(&key(request, "public")?, salt(&salted));
    Ok(match found {
        Some(item) => json!({ "value": hex(item.value()), "seq": item.seq() }),
        None => json!({}),
    })
}

fn serve(dht: &Dht, request: &Value) -> Answer {
    match text(request, "do") {
        "join" => join(dht),
        "announce" => announce(dht, request),
        "get_peers" => get_peers(dht, request),
        "put_immutable" => put_immutable(dht, request),
        "get_immutable" => get_immutable(dht, request),
        "put_mutable" => put_mutable(dht, request),
        "get_mutable" => get_mutable(dht, request),
        _ => Err("no such request".into()),
    }
}

/// Returns the value behind a flag of the command line.
fn flag(name: &str) -> Option<String> {
    std::env::args().skip_while(|word| word != name).nth(1)
}

fn open() -> Result<Dht, Box<dyn Error>> {
    let listen: SocketAddrV4 = flag("--listen").ok_or("no --listen")?.parse()?;
    let known = flag("--known").ok_or("no --known")?;
    let known: Vec<&str> = known.split(',').collect();
    let dht = Dht::builder()
        .bootstrap(&known)
        .bind_address(*listen.ip())
        .port(listen.port())
        .server_mode()
        .build()?;
    Ok(dht)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dht = open()?;
    println!("{}", json!({ "ready": true }));
    for line in stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let dht = dht.clone();
        std::thread::spawn(move || {
            let reply = match serve(&dht, &request) {
                Ok(result) => json!({ "id": request["id"], "result": result }),
                Err(error) => json!({ "id": request["id"], "error": error.to_string() }),
            };
            println!("{reply}");
        });
    }
    Ok(())
}
