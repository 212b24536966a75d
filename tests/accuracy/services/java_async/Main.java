import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * CompletableFuture and HttpClient.sendAsync: the thread that read the request starts a chain and is free; each stage
 * runs in whatever thread of the pool completes the one before. Or (-Dvariant=blocking) the calls are blocking ones that
 * another pool's threads make, and nobody waits for them either.
 */
final class Main {
  private static final ExecutorService POOL = Executors.newFixedThreadPool(Plan.WORKERS);
  private static final boolean BLOCKING = System.getProperty("variant", "").startsWith("blocking");
  private static final ExecutorService CALLS = Executors.newFixedThreadPool(Plan.WORKERS);
  private static final HttpClient CLIENT =
      HttpClient.newBuilder().executor(POOL).version(HttpClient.Version.HTTP_1_1).build();

  public static void main(String[] args) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Plan.PORT), 4096);
    server.setExecutor(POOL);
    server.createContext("/", Main::handle);
    server.start();
  }

  private static void handle(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    String path = exchange.getRequestURI().getPath();
    CompletableFuture<Void> chain = CompletableFuture.completedFuture(null);
    for (Plan.Step step : Plan.steps(body)) {
      chain = chain.thenComposeAsync(done -> run(step, path, body), after(step.pauseMicros()));
    }
    chain.whenComplete((done, failure) -> answer(exchange, failure == null ? 200 : 502));
  }

  private static java.util.concurrent.Executor after(long micros) {
    return micros == 0 ? POOL : CompletableFuture.delayedExecutor(micros, TimeUnit.MICROSECONDS, POOL);
  }

  private static CompletableFuture<Void> run(Plan.Step step, String path, byte[] body) {
    return CompletableFuture.allOf(
        step.calls().stream().map(index -> call(path, body, index)).toArray(CompletableFuture[]::new));
  }

  private static CompletableFuture<Void> call(String path, byte[] body, int index) {
    if (BLOCKING) return CompletableFuture.runAsync(() -> block(path, body, index), CALLS);
    HttpRequest request = HttpRequest.newBuilder(URI.create(Plan.callUrl(path, index)))
        .header("Content-Type", "text/plain")
        .POST(HttpRequest.BodyPublishers.ofByteArray(Plan.callBody(body, index)))
        .build();
    return CLIENT.sendAsync(request, HttpResponse.BodyHandlers.ofByteArray()).thenAccept(response -> {
      if (response.statusCode() != 200) throw new IllegalStateException("backend answered " + response.statusCode());
    });
  }

  private static void block(String path, byte[] body, int index) {
    try {
      Blocking.call(path, body, index);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void answer(HttpExchange exchange, int status) {
    try {
      byte[] text = {'d', 'o', 'n', 'e', '\n'};
      exchange.sendResponseHeaders(status, text.length);
      exchange.getResponseBody().write(text);
      exchange.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Main() {}
}
