//! axum and reqwest on tokio's multi-threaded runtime: a task may be polled by any worker thread.
use axum::{body::Bytes, extract::State, http::{StatusCode, Uri}, routing::post, Router};
use futures::future::try_join_all;
use std::time::Duration;

#[path = "../../common/plan.rs"]
mod plan;
use plan::{call, setting, steps};

async fn handle(State(client): State<reqwest::Client>, uri: Uri, body: Bytes) -> (StatusCode, &'static str) {
    for (pause, calls) in steps(&body) {
        if pause > 0 {
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        if try_join_all(calls.iter().map(|&i| call(&client, uri.path(), &body, i))).await.is_err() {
            return (StatusCode::BAD_GATEWAY, "");
        }
    }
    (StatusCode::OK, "done\n")
}

#[tokio::main]
async fn main() {
    let app = Router::new().route("/{operation}", post(handle)).with_state(reqwest::Client::new());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setting("PORT") as u16)).await.expect("listen");
    axum::serve(listener, app).await.expect("serve");
}
