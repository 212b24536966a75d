// A Java service that blocks no thread: CompletableFuture and java.net.http. Answers /tax/ID after asking the next
// service, at random a little later. Whichever thread of the pool is free goes on.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

public class TaxAsync {
    static final String NEXT = System.getenv().getOrDefault("NEXT", "");
    static final ExecutorService POOL = Executors.newFixedThreadPool(8);
    static final HttpClient CLIENT = HttpClient.newBuilder().executor(POOL).version(HttpClient.Version.HTTP_1_1).build();

    public static void main(String[] args) throws IOException {
        URI listen = URI.create("http://" + System.getenv("LISTEN"));
        HttpServer server = HttpServer.create(new InetSocketAddress(listen.getHost(), listen.getPort()), 1024);
        server.createContext("/tax/", TaxAsync::take);
        server.setExecutor(POOL);
        server.start();
    }

    static void take(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        Executor later = CompletableFuture.delayedExecutor(ThreadLocalRandom.current().nextInt(4), TimeUnit.MILLISECONDS, POOL);
        CompletableFuture.completedFuture(exchange.getRequestURI().getPath())
            .thenComposeAsync(path -> ask(path.substring(path.lastIndexOf('/') + 1), body), later)
            .thenAccept(reply -> answer(exchange, ("java > " + reply).getBytes()));
    }

    static CompletableFuture<String> ask(String id, byte[] body) {
        if (NEXT.isEmpty()) {
            return CompletableFuture.completedFuture("\n");
        }
        HttpRequest request = HttpRequest.newBuilder(URI.create(NEXT + "/" + id))
            .POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
        return CLIENT.sendAsync(request, HttpResponse.BodyHandlers.ofString()).thenApply(HttpResponse::body);
    }

    static void answer(HttpExchange exchange, byte[] reply) {
        try {
            exchange.sendResponseHeaders(200, reply.length);
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(reply);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
