import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A fixed pool fed through its queue by the thread that accepts and reads: the worker that makes a request's calls and
 * answers it never touched the connection before.
 */
final class Main {
  private static final class Incoming {
    final ByteBuffer bytes = ByteBuffer.allocate(16 * 1024);

    /** The path of the one whole request in the buffer, null while it is not whole. */
    String whole() {
      String text = new String(bytes.array(), 0, bytes.position(), StandardCharsets.ISO_8859_1);
      int head = text.indexOf("\r\n\r\n");
      if (head < 0 || bytes.position() < head + 4 + Plan.BODY_SIZE) return null;
      return text.split(" ", 3)[1];
    }

    byte[] takeBody() {
      byte[] body = new byte[Plan.BODY_SIZE];
      System.arraycopy(bytes.array(), bytes.position() - body.length, body, 0, body.length);
      bytes.clear();
      return body;
    }
  }

  public static void main(String[] args) throws IOException {
    Blocking.startBackground();
    ExecutorService pool = Executors.newFixedThreadPool(Plan.WORKERS);
    Selector selector = Selector.open();
    ServerSocketChannel listener = ServerSocketChannel.open();
    listener.bind(new InetSocketAddress("127.0.0.1", Plan.PORT), 4096);
    listener.configureBlocking(false);
    listener.register(selector, SelectionKey.OP_ACCEPT);
    while (true) {
      selector.select(key -> {
        try {
          if (key.isAcceptable()) accept(listener, selector);
          else read(key, pool);
        } catch (IOException e) {
          key.cancel();
        }
      });
    }
  }

  private static void accept(ServerSocketChannel listener, Selector selector) throws IOException {
    SocketChannel connection = listener.accept();
    if (connection == null) return;
    connection.configureBlocking(false);
    connection.setOption(StandardSocketOptions.TCP_NODELAY, true);
    connection.register(selector, SelectionKey.OP_READ, new Incoming());
  }

  private static void read(SelectionKey key, ExecutorService pool) throws IOException {
    SocketChannel connection = (SocketChannel) key.channel();
    Incoming incoming = (Incoming) key.attachment();
    if (connection.read(incoming.bytes) < 0) {
      connection.close();
      return;
    }
    String path = incoming.whole();
    if (path == null) return;
    byte[] body = incoming.takeBody();
    pool.execute(() -> answer(connection, path, body));
  }

  private static void answer(SocketChannel connection, String path, byte[] body) {
    String status = "200 OK";
    try {
      Blocking.work(path, body);
    } catch (IOException | InterruptedException e) {
      status = "502 Bad Gateway";
    }
    String text = "HTTP/1.1 " + status + "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\ndone\n";
    try {
      connection.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1)));
    } catch (IOException e) {
      // The client has gone: there is nobody to tell.
    }
  }

  private Main() {}
}
