//! As rust_tokio, but calls are made by what may block its thread, of tokio's spawn_blocking. The variant says how.
use axum::{body::Bytes, extract::State, http::{StatusCode, Uri}, routing::post, Router};
use futures::future::{join_all, try_join_all};
use std::{env, sync::{mpsc, Arc, Mutex, OnceLock}, thread, time::Duration};
use tokio::{runtime::{Builder, Handle}, sync::oneshot, task::{block_in_place, spawn_blocking}};

#[path = "../../common/plan.rs"]
mod plan;
use plan::{request, setting, steps};

struct Job {
    calls: Calls,
    done: oneshot::Sender<bool>,
}

#[derive(Clone)]
struct Service {
    client: ureq::Agent,
    asynchronous: reqwest::Client,
    jobs: Arc<OnceLock<mpsc::Sender<Job>>>,
}

/// What one closure is to do.
#[derive(Clone)]
struct Calls {
    service: Service,
    path: Arc<str>,
    body: Bytes,
}

impl Calls {
    fn one(&self, index: usize) -> bool {
        let (url, body) = request(&self.path, &self.body, index);
        self.service.client.post(&url).send_bytes(&body).is_ok_and(|answer| answer.into_string().is_ok())
    }

    fn one_asynchronous(&self, index: usize) -> bool {
        Handle::current().block_on(plan::call(&self.service.asynchronous, &self.path, &self.body, index)).is_ok()
    }

    fn all(&self) -> bool {
        steps(&self.body).iter().all(|(pause, calls)| {
            thread::sleep(Duration::from_micros(*pause));
            calls.iter().all(|&index| self.one(index))
        })
    }

    /// "each": by itself, those of a step at once; also from a task of its own ("spawned").
    async fn each(self, call: fn(&Self, usize) -> bool, from_task: bool) -> bool {
        for (pause, calls) in steps(&self.body) {
            if pause > 0 {
                tokio::time::sleep(Duration::from_micros(pause)).await;
            }
            let waits = calls.into_iter().map(|index| {
                let this = self.clone();
                let closure = move || call(&this, index);
                async move {
                    if from_task {
                        tokio::spawn(async move { spawn_blocking(closure).await.unwrap_or(false) }).await
                    } else {
                        spawn_blocking(closure).await
                    }
                }
            });
            if !try_join_all(waits).await.is_ok_and(|right| right.into_iter().all(|right| right)) {
                return false;
            }
        }
        true
    }

    /// "order": begun all at once, and then awaited one after the other: of most the end is waited for by nobody.
    async fn in_order(self) -> bool {
        for (pause, calls) in steps(&self.body) {
            if pause > 0 {
                tokio::time::sleep(Duration::from_micros(pause)).await;
            }
            let begun: Vec<_> = calls.into_iter().map(|index| {
                let this = self.clone();
                spawn_blocking(move || this.one(index))
            }).collect();
            for wait in begun {
                if !wait.await.unwrap_or(false) {
                    return false;
                }
            }
        }
        true
    }

    /// "detached": the first call is waited for, the others are not.
    async fn detached(self) -> bool {
        let all: Vec<usize> = steps(&self.body).into_iter().flat_map(|(_, calls)| calls).collect();
        let begun: Vec<_> = all.into_iter().map(|index| {
            let this = self.clone();
            spawn_blocking(move || this.one(index))
        }).collect();
        let first: Vec<_> = begun.into_iter().take(1).collect();
        join_all(first).await.into_iter().all(|right| right.unwrap_or(false))
    }

    /// "loops": by closures that go on for ever, of the first request's making.
    async fn by_a_loop(self) -> bool {
        let jobs = self.service.jobs.get_or_init(|| {
            let (jobs, from) = mpsc::channel();
            let from = Arc::new(Mutex::new(from));
            for _ in 0..setting("WORKERS") / 2 {
                let from = from.clone();
                spawn_blocking(move || work(&from));
            }
            jobs
        });
        let (done, wait) = oneshot::channel();
        jobs.send(Job { calls: self.clone(), done }).is_ok() && wait.await.unwrap_or(false)
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let next = jobs.lock().expect("jobs").recv();
        let Ok(job) = next else { return };
        let _ = job.done.send(job.calls.all());
    }
}

async fn handle(State(service): State<Service>, uri: Uri, body: Bytes) -> (StatusCode, &'static str) {
    let calls = Calls { service, path: uri.path().into(), body };
    let variant = env::args().nth(1).unwrap_or_default();
    let right = match variant.trim_end_matches("-busy") {
        "each" => calls.each(Calls::one, false).await,
        "spawned" => calls.each(Calls::one, true).await,
        "block_on" => calls.each(Calls::one_asynchronous, false).await,
        "order" => calls.in_order().await,
        "in_place" => block_in_place(|| calls.all()),
        "detached" => calls.detached().await,
        "loops" => calls.by_a_loop().await,
        _ => spawn_blocking(move || calls.all()).await.unwrap_or(false),
    };
    if right { (StatusCode::OK, "done\n") } else { (StatusCode::BAD_GATEWAY, "") }
}

async fn serve() {
    let service = Service {
        client: ureq::builder().max_idle_connections(4096).max_idle_connections_per_host(4096).build(),
        asynchronous: reqwest::Client::new(),
        jobs: Arc::default(),
    };
    let app = Router::new().route("/{operation}", post(handle)).with_state(service);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setting("PORT") as u16)).await.expect("listen");
    axum::serve(listener, app).await.expect("serve");
}

fn main() {
    let runtime = Builder::new_multi_thread().max_blocking_threads(setting("WORKERS")).enable_all().build();
    runtime.expect("runtime").block_on(serve());
}
