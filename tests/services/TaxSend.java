// A Java service on the JDK's newer client, whose one thread reads all responses: the thread that read the request waits
// for one call, and then for two at once. Answers /tax/ID after asking the next service.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;

public class TaxSend {
    static final String NEXT = System.getenv().getOrDefault("NEXT", "");
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    public static void main(String[] args) throws IOException {
        URI listen = URI.create("http://" + System.getenv("LISTEN"));
        HttpServer server = HttpServer.create(new InetSocketAddress(listen.getHost(), listen.getPort()), 1024);
        server.createContext("/tax/", TaxSend::take);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }

    static void take(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        String path = exchange.getRequestURI().getPath();
        HttpRequest request = HttpRequest.newBuilder(URI.create(NEXT + path.substring(path.lastIndexOf('/'))))
            .POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
        String reply = "java > ";
        try {
            reply += CLIENT.send(request, BodyHandlers.ofString()).body();
            CompletableFuture<String> one = CLIENT.sendAsync(request, BodyHandlers.ofString()).thenApply(r -> r.body());
            CompletableFuture<String> other = CLIENT.sendAsync(request, BodyHandlers.ofString()).thenApply(r -> r.body());
            reply += one.thenCombine(other, String::concat).join();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
        byte[] bytes = reply.getBytes();
        exchange.sendResponseHeaders(200, bytes.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(bytes);
        }
    }
}
