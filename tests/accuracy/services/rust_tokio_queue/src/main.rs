//! As rust_tokio, but calls are made by tasks that all requests share, fed through a queue.
use axum::{body::Bytes, extract::State, http::{StatusCode, Uri}, routing::post, Router};
use std::{sync::{Arc, OnceLock}, time::Duration};
use tokio::sync::{mpsc, oneshot, Mutex};

#[path = "../../common/plan.rs"]
mod plan;
use plan::{call, setting, steps};

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
