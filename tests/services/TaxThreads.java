// The oldest kind of Java server: one thread per connection on a ServerSocket. Answers any path, after asking the next
// service over a socket of its own.
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;

public class TaxThreads {
    static final String NEXT = System.getenv().getOrDefault("NEXT", "");

    public static void main(String[] args) throws IOException {
        URI listen = URI.create("http://" + System.getenv("LISTEN"));
        try (ServerSocket server = new ServerSocket(listen.getPort(), 1024, InetAddress.getByName(listen.getHost()))) {
            while (true) {
                Socket socket = server.accept();
                socket.setTcpNoDelay(true);
                new Thread(() -> serve(socket)).start();
            }
        }
    }

    static void serve(Socket socket) {
        try (socket) {
            InputStream in = new BufferedInputStream(socket.getInputStream());
            while (true) {
                String[] head = readHead(in);
                if (head == null) {
                    return;
                }
                byte[] body = in.readNBytes(bodyLength(head));
                String path = head[0].split(" ")[1];
                byte[] reply = NEXT.isEmpty() ? "java\n".getBytes() : ask(path.substring(path.lastIndexOf('/') + 1), body);
                OutputStream out = socket.getOutputStream();
                ByteArrayOutputStream whole = new ByteArrayOutputStream();
                whole.write(("HTTP/1.1 200 OK\r\nContent-Length: " + reply.length + "\r\n\r\n").getBytes());
                whole.write(reply);
                out.write(whole.toByteArray());
            }
        } catch (IOException e) {
            System.err.println(e);
        }
    }

    static byte[] ask(String id, byte[] body) throws IOException {
        URI next = URI.create(NEXT + "/" + id);
        try (Socket socket = new Socket(next.getHost(), next.getPort())) {
            ByteArrayOutputStream whole = new ByteArrayOutputStream();
            whole.write(("POST " + next.getPath() + " HTTP/1.1\r\nHost: " + next.getAuthority() + "\r\nContent-Length: "
                         + body.length + "\r\nConnection: close\r\n\r\n").getBytes());
            whole.write(body);
            socket.getOutputStream().write(whole.toByteArray());
            InputStream in = new BufferedInputStream(socket.getInputStream());
            String[] head = readHead(in);
            if (head == null) {
                throw new EOFException("no answer");
            }
            return in.readNBytes(bodyLength(head));
        }
    }

    static String[] readHead(InputStream in) throws IOException {
        StringBuilder head = new StringBuilder();
        for (int c = in.read(); c >= 0; c = in.read()) {
            head.append((char) c);
            if (c == '\n' && head.toString().endsWith("\r\n\r\n")) {
                return head.toString().split("\r\n");
            }
        }
        return null;
    }

    static int bodyLength(String[] head) {
        for (String line : head) {
            if (line.toLowerCase().startsWith("content-length:")) {
                return Integer.parseInt(line.substring(15).trim());
            }
        }
        return 0;
    }
}
