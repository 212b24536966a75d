// Threads that read requests and wait for calls of java.net.http, the responses of which another thread reads: one sent,
// and then two joined. "request I" on an accepted connection; the calls ask for /I. Threads, or (how: virtual) virtual ones.
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

final class Sends {
  private static final int CLIENTS = 6;
  private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  public static void main(String[] args) throws Exception {
    int rounds = Integer.parseInt(args[1]);
    ExecutorService threads = args[0].equals("virtual")
        ? (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null)
        : Executors.newCachedThreadPool();
    InetAddress loopback = InetAddress.getLoopbackAddress();
    HttpServer backend = HttpServer.create(new InetSocketAddress(loopback, 0), 512);
    backend.setExecutor(Executors.newFixedThreadPool(4));
    backend.createContext("/", exchange -> {
      try {
        Thread.sleep(2 + Math.abs(exchange.getRequestURI().hashCode() % 4));
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
      exchange.sendResponseHeaders(200, 2);
      exchange.getResponseBody().write(new byte[] {'o', 'k'});
      exchange.close();
    });
    backend.start();
    ServerSocket server = new ServerSocket(0, 512, loopback);
    threads.execute(() -> {
      while (true) {
        try {
          Socket accepted = server.accept();
          threads.execute(() -> serve(accepted, backend.getAddress().getPort()));
        } catch (IOException e) {
          return;
        }
      }
    });
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
            socket.getOutputStream().write(("request " + (round * CLIENTS + client) + "\n").getBytes());
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

  private static void serve(Socket socket, int port) {
    try {
      BufferedReader in = reader(socket);
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        HttpRequest call = HttpRequest.newBuilder(
            URI.create("http://localhost:" + port + line.replace("request ", "/"))).build();
        CLIENT.send(call, BodyHandlers.ofString());
        CompletableFuture.allOf(CLIENT.sendAsync(call, BodyHandlers.ofString()),
                                CLIENT.sendAsync(call, BodyHandlers.ofString())).join();
        socket.getOutputStream().write(("done " + line + "\n").getBytes());
      }
    } catch (IOException | InterruptedException e) {
      throw new RuntimeException(e);
    }
  }

  private static BufferedReader reader(Socket socket) throws IOException {
    socket.setTcpNoDelay(true);
    return new BufferedReader(new InputStreamReader(socket.getInputStream()));
  }

  private Sends() {}
}
