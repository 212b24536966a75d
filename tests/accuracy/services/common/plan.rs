//! What every Rust service of the bed does with a request (services/README.md).
use std::env;

const INDEX_AT: usize = 3104;
const DISTINCT: [&str; 5] = ["/users", "/stock", "/price", "/offers", "/audit"];

pub fn setting(name: &str) -> usize {
    env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{name} is not a number"))
}

/// Pause in microseconds and the indexes of the calls to make at once (services/README.md).
pub fn steps(body: &[u8]) -> Vec<(u64, Vec<usize>)> {
    let d: Vec<usize> = body[3072..INDEX_AT].iter().map(|c| (*c as char).to_digit(16).unwrap_or(0) as usize).collect();
    let calls: Vec<usize> = (0..1 + d[0] % 5).filter(|&i| i == 0 || d[1 + i] >= 4).collect();
    let groups: Vec<Vec<usize>> = match d[6] % 3 {
        0 => calls.iter().map(|&i| vec![i]).collect(),
        1 => vec![calls],
        _ => [&calls[..1], &calls[1..]].into_iter().filter(|g| !g.is_empty()).map(<[usize]>::to_vec).collect(),
    };
    groups.into_iter().map(|g| (d[7 + g[0]] as u64 * 250, g)).collect()
}

/// Where a call goes, and its body.
pub fn request(path: &str, body: &[u8], index: usize) -> (String, Vec<u8>) {
    let mut out = body.to_vec();
    out[INDEX_AT..INDEX_AT + 2].copy_from_slice(format!("{index:02}").as_bytes());
    let path = if path == "/order" { DISTINCT[index] } else { "/query" };
    (format!("http://127.0.0.1:{}{path}", setting("BACKEND_PORT")), out)
}

pub async fn call(client: &reqwest::Client, path: &str, body: &[u8], index: usize) -> reqwest::Result<()> {
    let (url, out) = request(path, body, index);
    client.post(url).body(out).send().await?.error_for_status()?.bytes().await?;
    Ok(())
}
