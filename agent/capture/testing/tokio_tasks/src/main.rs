//! Tasks that hand work to each other, for tokio_root_test.cc: a server's task for each connection, a task that alone
//! writes to the backend, children that ask it in their parent's stead, and such as block their thread.
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

const CLIENTS: usize = 4;
const REQUESTS: usize = 100; // of each client
type Job = (String, oneshot::Sender<()>);

async fn lines_of(stream: TcpStream, mut each: impl AsyncFnMut(String)) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await.expect("read") {
        each(line).await;
        write.write_all(b"ok\n").await.expect("answer");
    }
}

async fn backend(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        tokio::spawn(lines_of(stream, async |_| {}));
    }
}

async fn connection(stream: TcpStream, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some((line, done)) = jobs.recv().await {
        write.write_all(format!("call {line}\n").as_bytes()).await.expect("call");
        lines.next_line().await.expect("response");
        let _ = done.send(());
    }
}

async fn ask(jobs: mpsc::UnboundedSender<Job>, line: String) {
    let (done, wait) = oneshot::channel();
    jobs.send((line, done)).expect("a connection");
    wait.await.expect("done");
}

fn ask_and_block(backend: &Mutex<std::net::TcpStream>, line: &str) {
    let mut stream = backend.lock().expect("backend");
    stream.write_all(format!("call {line}\n").as_bytes()).expect("call");
    std::io::BufReader::new(&*stream).read_line(&mut String::new()).expect("response");
}

async fn serve(listener: TcpListener, jobs: mpsc::UnboundedSender<Job>, backend: Arc<Mutex<std::net::TcpStream>>) {
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        let (jobs, backend) = (jobs.clone(), backend.clone());
        tokio::spawn(lines_of(stream, async move |line: String| {
            if line.ends_with("by a child") {
                tokio::spawn(ask(jobs.clone(), line)).await.expect("a child");
            } else if line.ends_with("blocking") {
                let backend = backend.clone();
                tokio::task::spawn_blocking(move || ask_and_block(&backend, &line)).await.expect("its thread");
            } else {
                ask(jobs.clone(), line).await;
            }
        }));
    }
}

async fn client(port: u16, number: usize) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    for request in 0..REQUESTS {
        // So slow that what is learned in between counts, and that the connection is seldom busy when it is asked.
        tokio::time::sleep(Duration::from_millis(10 + 3 * number as u64)).await;
        let how = ["itself", "by a child", "blocking"][request % 3];
        write.write_all(format!("client {number} request {request} {how}\n").as_bytes()).await.expect("request");
        lines.next_line().await.expect("answer");
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    print!(".");
    std::io::stdout().flush().expect("stdout");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.expect("go on").expect("stdin");
    let back = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let address = back.local_addr().expect("address");
    let to_back = TcpStream::connect(address).await.expect("connect");
    let blocking = std::net::TcpStream::connect(address).expect("connect");
    tokio::spawn(backend(back));
    let (jobs, from) = mpsc::unbounded_channel();
    tokio::spawn(connection(to_back, from));
    let front = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let port = front.local_addr().expect("address").port();
    tokio::spawn(serve(front, jobs, Arc::new(Mutex::new(blocking))));
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(port, number))).collect();
    for client in clients {
        client.await.expect("client");
    }
}
