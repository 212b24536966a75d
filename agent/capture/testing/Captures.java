// Requests that no thread waits for: what is to be done after their call has captured the exchange that is answered then.
// "GET /front/I" on an accepted connection, its call asks for /call/I. How: by java.net.http and a lambda, a local class
// (local), or by blocking calls in a pool (blocking), which may answer as well (submitted); or the thread that read the
// request waits at a latch (latch).
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.BiConsumer;

final class Captures {
  private static final int CLIENTS = 6;
  private static final ExecutorService POOL = Executors.newFixedThreadPool(CLIENTS);
  private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  public static void main(String[] args) throws Exception {
    String how = args[0];
    int rounds = Integer.parseInt(args[1]);
    HttpServer backend = server();
    backend.createContext("/", exchange -> {
      try {
        Thread.sleep(2 + Math.abs(exchange.getRequestURI().hashCode() % 4));
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
      answer(exchange);
    });
    backend.start();
    HttpServer front = server();
    front.createContext("/", exchange -> {
      String number = exchange.getRequestURI().getPath().replace("/front/", "");
      handle(how, exchange, "http://localhost:" + backend.getAddress().getPort() + "/call/" + number);
    });
    front.start();
    System.out.write('\n');
    System.out.flush();
    System.in.read();
    List<Thread> clients = new ArrayList<>();
    for (int i = 0; i < CLIENTS; ++i) {
      int client = i;
      Thread thread = new Thread(() -> {
        for (int round = 0; round < rounds; ++round)
          get("http://localhost:" + front.getAddress().getPort() + "/front/" + (round * CLIENTS + client));
      });
      thread.start();
      clients.add(thread);
    }
    for (Thread client : clients) client.join();
    System.exit(0);
  }

  private static void handle(String how, HttpExchange exchange, String url) {
    if (how.equals("submitted")) {
      POOL.submit(() -> {
        get(url);
        answer(exchange);
      });
      return;
    }
    if (how.equals("latch")) {
      CountDownLatch latch = new CountDownLatch(1);
      POOL.execute(() -> {
        get(url);
        latch.countDown();
      });
      await(latch);
      answer(exchange);
      return;
    }
    if (how.equals("blocking")) {
      CompletableFuture.runAsync(() -> get(url), POOL).whenComplete((done, failure) -> answer(exchange));
      return;
    }
    CompletableFuture<HttpResponse<String>> response =
        CLIENT.sendAsync(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.ofString());
    if (how.equals("local")) {
      response.whenComplete(new BiConsumer<HttpResponse<String>, Throwable>() {
        @Override
        public void accept(HttpResponse<String> done, Throwable failure) {
          answer(exchange);
        }
      });
      return;
    }
    response.whenComplete((done, failure) -> answer(exchange));
  }

  private static HttpServer server() throws IOException {
    HttpServer out = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 512);
    out.setExecutor(Executors.newFixedThreadPool(CLIENTS));
    return out;
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void get(String url) {
    try (InputStream in = URI.create(url).toURL().openStream()) {
      in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void answer(HttpExchange exchange) {
    try {
      exchange.sendResponseHeaders(200, 2);
      exchange.getResponseBody().write(new byte[] {'o', 'k'});
      exchange.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Captures() {}
}
