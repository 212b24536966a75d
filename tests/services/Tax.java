// A plain Java service on the JDK's own server: answers /tax/ID, after asking the next service.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.concurrent.Executors;

public class Tax {
    static final String NEXT = System.getenv().getOrDefault("NEXT", "");

    public static void main(String[] args) throws IOException {
        URI listen = URI.create("http://" + System.getenv("LISTEN"));
        HttpServer server = HttpServer.create(new InetSocketAddress(listen.getHost(), listen.getPort()), 1024);
        server.createContext("/tax/", Tax::answer);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }

    static void answer(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        String path = exchange.getRequestURI().getPath();
        byte[] reply = reply(exchange.getRequestMethod(), path.substring(path.lastIndexOf('/') + 1), body);
        exchange.sendResponseHeaders(200, reply.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(reply);
        }
    }

    static byte[] reply(String method, String id, byte[] body) throws IOException {
        if (NEXT.isEmpty()) {
            return "java\n".getBytes();
        }
        HttpURLConnection call = (HttpURLConnection) URI.create(NEXT + "/" + id).toURL().openConnection();
        call.setRequestMethod(method);
        if (body.length > 0) {
            call.setDoOutput(true);
            call.getOutputStream().write(body);
        }
        try (InputStream in = call.getInputStream()) {
            return ("java > " + new String(in.readAllBytes())).getBytes();
        }
    }
}
