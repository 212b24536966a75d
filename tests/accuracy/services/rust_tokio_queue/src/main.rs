//! As rust_tokio, but calls are made by tasks that all requests share, fed through a queue: each call by itself, or in the
//! variants "whole" all that a request wants at once.
use axum::{body::Bytes, extract::State, http::{StatusCode, Uri}, routing::post, Router};
use std::{env, sync::{Arc, OnceLock}, time::Duration};
use tokio::sync::{mpsc, oneshot, Mutex};

#[path = "../../common/plan.rs"]
mod plan;
use plan::{call, setting, steps};

struct Job {
    path: Arc<str>,
    body: Bytes,
    steps: Vec<(u64, Vec<usize>)>,
    done: oneshot::Sender<bool>,
}

/// A task of the first request's making that then works for all of them.
async fn work(client: reqwest::Client, jobs: Arc<Mutex<mpsc::Receiver<Job>>>) {
    loop {
        let next = jobs.lock().await.recv().await;
        let Some(job) = next else { return };
        let mut right = true;
        for (pause, calls) in &job.steps {
            sleep(*pause).await;
            for index in calls {
                right = right && call(&client, &job.path, &job.body, *index).await.is_ok();
            }
        }
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
    let whole = env::args().any(|argument| argument.starts_with("whole"));
    let all = if whole { vec![(0, Vec::new())] } else { steps(&body) };
    for (pause, calls) in all {
        sleep(pause).await;
        let each = calls.into_iter().map(|index| vec![(0, vec![index])]);
        let mut waits = Vec::new();
        for steps in if whole { vec![steps(&body)] } else { each.collect() } {
            let (done, wait) = oneshot::channel();
            if jobs.send(Job { path: path.clone(), body: body.clone(), steps, done }).await.is_err() {
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

async fn sleep(us: u64) {
    if us > 0 {
        tokio::time::sleep(Duration::from_micros(us)).await;
    }
}

#[tokio::main]
async fn main() {
    let app = Router::new().route("/{operation}", post(handle)).with_state(Arc::new(OnceLock::<mpsc::Sender<Job>>::new()));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setting("PORT") as u16)).await.expect("listen");
    axum::serve(listener, app).await.expect("serve");
}
