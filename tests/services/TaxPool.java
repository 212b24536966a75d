// A Java service that has a pool make its calls: the thread that read the request hands two over, one by one, and waits
// for them in order. Answers /tax/ID after asking the next service.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class TaxPool {
    static final String NEXT = System.getenv().getOrDefault("NEXT", "");
    static final int CALLS = 2;
    static final ExecutorService POOL = Executors.newFixedThreadPool(16);

    public static void main(String[] args) throws IOException {
        URI listen = URI.create("http://" + System.getenv("LISTEN"));
        HttpServer server = HttpServer.create(new InetSocketAddress(listen.getHost(), listen.getPort()), 1024);
        server.createContext("/tax/", TaxPool::take);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }

    static void take(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        String path = exchange.getRequestURI().getPath();
        String id = path.substring(path.lastIndexOf('/') + 1);
        List<Future<String>> asked = new ArrayList<>();
        for (int i = 0; i < CALLS; ++i) {
            asked.add(POOL.submit(() -> ask(id, body)));
        }
        StringBuilder reply = new StringBuilder("java > ");
        try {
            for (Future<String> one : asked) {
                reply.append(one.get());
            }
        } catch (ExecutionException | InterruptedException e) {
            throw new IOException(e);
        }
        byte[] bytes = reply.toString().getBytes();
        exchange.sendResponseHeaders(200, bytes.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(bytes);
        }
    }

    static String ask(String id, byte[] body) throws IOException {
        if (NEXT.isEmpty()) {
            return "\n";
        }
        HttpURLConnection connection = (HttpURLConnection) URI.create(NEXT + "/" + id).toURL().openConnection();
        connection.setRequestMethod("POST");
        connection.setDoOutput(true);
        connection.getOutputStream().write(body);
        try (InputStream in = connection.getInputStream()) {
            return new String(in.readAllBytes());
        }
    }
}
