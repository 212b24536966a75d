//! As rust_tokio, but calls are made by tasks that all requests share, fed through a queue.
use axum::{body::Bytes, extract::State, http::{StatusCode, Uri}, routing::post, Router};
use std::{env, sync::{Arc, OnceLock}, time::Duration};
use tokio::sync::{mpsc, oneshot, Mutex};

const INDEX_AT: usize = 3104;
const DISTINCT: [&str; 5] = ["/users", "/stock", "/price", "/offers", "/audit"];

fn setting(name: &str) -> usize {
    env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{name} is not a number"))
}

/// Pause in microseconds and the indexes of the calls to make at once (services/README.md).
fn steps(body: &[u8]) -> Vec<(u64, Vec<usize>)> {
    let d: Vec<usize> = body[3072..INDEX_AT].iter().map(|c| (*c as char).to_digit(16).unwrap_or(0) as usize).collect();
    let calls: Vec<usize> = (0..1 + d[0] % 5).filter(|&i| i == 0 || d[1 + i] >= 4).collect();
    let groups: Vec<Vec<usize>> = match d[6] % 3 {
        0 => calls.iter().map(|&i| vec![i]).collect(),
        1 => vec![calls],
        _ => [&calls[..1], &calls[1..]].into_iter().filter(|g| !g.is_empty()).map(<[usize]>::to_vec).collect(),
    };
    groups.into_iter().map(|g| (d[7 + g[0]] as u64 * 250, g)).collect()
}

async fn call(client: &reqwest::Client, path: &str, body: &[u8], index: usize) -> reqwest::Result<()> {
    let mut out = body.to_vec();
    out[INDEX_AT..INDEX_AT + 2].copy_from_slice(format!("{index:02}").as_bytes());
    let path = if path == "/order" { DISTINCT[index] } else { "/query" };
    let url = format!("http://127.0.0.1:{}{path}", setting("BACKEND_PORT"));
    client.post(url).body(out).send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

struct Job {
    path: Arc<str>,
    body: Bytes,
    index: usize,
    done: oneshot::Sender<bool>,
}

/// A task of the first request's making that then works for all of them.
async fn work(client: reqwest::Client, jobs: Arc<Mutex<mpsc::Receiver<Job>>>) {
    loop {
        let next = jobs.lock().await.recv().await;
        let Some(job) = next else { return };
        let right = call(&client, &job.path, &job.body, job.index).await.is_ok();
        let _ = job.done.send(right);
    }
}

async fn handle(State(queue): State<Arc<OnceLock<mpsc::Sender<Job>>>>, uri: Uri, body: Bytes) -> (StatusCode, &'static str) {
    let path: Arc<str> = uri.path().into();
    let jobs = queue.get_or_init(|| {
        let (jobs, from) = mpsc::channel(4096);
        let (client, from) = (reqwest::Client::new(), Arc::new(Mutex::new(from)));
        for _ in 0..setting("WORKERS") {
            tokio::spawn(work(client.clone(), from.clone()));
        }
        jobs
    });
    for (pause, calls) in steps(&body) {
        if pause > 0 {
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        let mut waits = Vec::new();
        for index in calls {
            let (done, wait) = oneshot::channel();
            if jobs.send(Job { path: path.clone(), body: body.clone(), index, done }).await.is_err() {
                return (StatusCode::BAD_GATEWAY, "");
            }
            waits.push(wait);
        }
        for wait in waits {
            if !matches!(wait.await, Ok(true)) {
                return (StatusCode::BAD_GATEWAY, "");
            }
        }
    }
    (StatusCode::OK, "done\n")
}

#[tokio::main]
async fn main() {
    let app = Router::new().route("/{operation}", post(handle)).with_state(Arc::new(OnceLock::<mpsc::Sender<Job>>::new()));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setting("PORT") as u16)).await.expect("listen");
    axum::serve(listener, app).await.expect("serve");
}
