import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executor;

/** The JDK's own HTTP server: a dispatcher thread selects connections, a thread of the executor reads and answers. */
final class HttpServerMain {
  /** Makes all calls of a request. */
  interface Work {
    void of(String incoming, byte[] body) throws IOException, InterruptedException;
  }

  static void serve(Executor executor) throws IOException {
    serve(executor, Blocking::work);
  }

  static void serve(Executor executor, Work work) throws IOException {
    Blocking.startBackground();
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Plan.PORT), 4096);
    server.setExecutor(executor);
    server.createContext("/", exchange -> handle(exchange, work));
    server.start();
  }

  private static void handle(HttpExchange exchange, Work work) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    try {
      work.of(exchange.getRequestURI().getPath(), body);
      answer(exchange, 200);
    } catch (IOException | InterruptedException e) {
      answer(exchange, 502);
    }
  }

  static void answer(HttpExchange exchange, int status) throws IOException {
    byte[] text = "done\n".getBytes(StandardCharsets.ISO_8859_1);
    exchange.sendResponseHeaders(status, text.length);
    exchange.getResponseBody().write(text);
    exchange.close();
  }

  private HttpServerMain() {}
}
