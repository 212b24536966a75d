// Threads that read requests and have a pool make their calls: each submits two, and waits for them one after the
// other. "request I" on an accepted connection; the calls say "call I of request R" and are answered by a line.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

final class Futures {
  private static final int CLIENTS = 4;
  private static final int CALLS = 2;
  private static final ExecutorService POOL = Executors.newFixedThreadPool(CLIENTS * CALLS);

  public static void main(String[] args) throws Exception {
    String how = args[0];
    int rounds = Integer.parseInt(args[1]);
    InetAddress loopback = InetAddress.getLoopbackAddress();
    ServerSocket backend = new ServerSocket(0, 512, loopback);
    ServerSocket server = new ServerSocket(0, 512, loopback);
    for (ServerSocket listening : List.of(backend, server)) {
      daemon(() -> {
        while (true) {
          Socket accepted = listening.accept();
          daemon(() -> {
            if (listening == backend) answer(accepted);
            else serve(accepted, backend.getLocalPort(), how);
          });
        }
      });
    }
    System.out.write('\n');
    System.out.flush();
    System.in.read();
    List<Thread> clients = new ArrayList<>();
    for (int i = 0; i < CLIENTS; ++i) {
      int client = i;
      Thread thread = new Thread(() -> {
        try (Socket socket = new Socket(loopback, server.getLocalPort())) {
          BufferedReader in = reader(socket);
          for (int round = 0; round < rounds; ++round) {
            write(socket, "request " + (round * CLIENTS + client));
            in.readLine();
          }
        } catch (IOException e) {
          throw new RuntimeException(e);
        }
      });
      thread.start();
      clients.add(thread);
    }
    for (Thread client : clients) client.join();
    System.exit(0);
  }

  private static void serve(Socket socket, int port, String how) throws Exception {
    BufferedReader in = reader(socket);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String request = line;
      if (how.equals("all")) {
        List<CompletableFuture<Void>> made = new ArrayList<>();
        for (int i = 0; i < CALLS; ++i) {
          int call = i;
          made.add(CompletableFuture.runAsync(() -> call(port, "call " + call + " of " + request), POOL));
        }
        CompletableFuture.allOf(made.toArray(new CompletableFuture[0])).join();
      } else {
        List<Future<?>> made = new ArrayList<>();
        for (int i = 0; i < CALLS; ++i) {
          int call = i;
          made.add(POOL.submit(() -> call(port, "call " + call + " of " + request)));
        }
        for (Future<?> one : made) one.get();
      }
      write(socket, "done " + request);
    }
  }

  // Its connection is its thread's, so that the thread makes nothing else before.
  private static final ThreadLocal<Socket> CONNECTION = new ThreadLocal<>();

  private static void call(int port, String line) {
    try {
      if (CONNECTION.get() == null) CONNECTION.set(new Socket(InetAddress.getLoopbackAddress(), port));
      write(CONNECTION.get(), line);
      CONNECTION.get().getInputStream().read(new byte[64]);
    } catch (IOException e) {
      throw new RuntimeException(e);
    }
  }

  private static void answer(Socket socket) throws Exception {
    BufferedReader in = reader(socket);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      Thread.sleep(Math.abs(line.hashCode() % 4));
      write(socket, "answer");
    }
  }

  private static BufferedReader reader(Socket socket) throws IOException {
    socket.setTcpNoDelay(true);
    return new BufferedReader(new InputStreamReader(socket.getInputStream()));
  }

  private static void write(Socket socket, String line) throws IOException {
    socket.getOutputStream().write((line + "\n").getBytes());
  }

  private interface Body {
    void run() throws Exception;
  }

  private static void daemon(Body body) {
    Thread thread = new Thread(() -> {
      try {
        body.run();
      } catch (Exception e) {
        throw new RuntimeException(e);
      }
    });
    thread.setDaemon(true);
    thread.start();
  }

  private Futures() {}
}
