//! As rust_tokio, but each call is made by a task of its own, begun by the request's.
use axum::{body::Bytes, extract::State, http::{StatusCode, Uri}, routing::post, Router};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

#[path = "../../common/plan.rs"]
mod plan;
use plan::{call, setting, steps};

async fn handle(State(client): State<reqwest::Client>, uri: Uri, body: Bytes) -> (StatusCode, &'static str) {
    let path: Arc<str> = uri.path().into();
    for (pause, calls) in steps(&body) {
        if pause > 0 {
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        let mut set = JoinSet::new();
        for i in calls {
            let (client, path, body) = (client.clone(), path.clone(), body.clone());
            set.spawn(async move { call(&client, &path, &body, i).await });
        }
        while let Some(done) = set.join_next().await {
            if !matches!(done, Ok(Ok(()))) {
                return (StatusCode::BAD_GATEWAY, "");
            }
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
