import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** Clients in virtual threads and in platform threads of their own: each line says who sends it. Up: writes a byte and
 * waits for one. */
public class VirtualThreads {
  static final int CLIENTS = 8;
  static final int LINES = 5;

  static void talk(int port, String who, CountDownLatch go) {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      go.await();
      for (int i = 0; i < LINES; i++) {
        socket.getOutputStream().write((who + " line " + i + "\n").getBytes(StandardCharsets.US_ASCII));
        answered(socket.getInputStream());
        Thread.sleep(2); // gives its carrier away
      }
    } catch (IOException | InterruptedException e) {
      System.exit(1);
    }
  }

  static void answered(InputStream in) throws IOException {
    if (in.read() < 0) throw new IOException("closed");
  }

  public static void main(String[] arguments) throws Exception {
    ServerSocket server = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
    Thread acceptor = new Thread(() -> {
      try {
        while (true) {
          Socket peer = server.accept();
          new Thread(() -> {
            try (peer) {
              for (int c; (c = peer.getInputStream().read()) >= 0; ) {
                if (c == '\n') peer.getOutputStream().write('.');
              }
            } catch (IOException e) {
              System.exit(1);
            }
          }).start();
        }
      } catch (IOException e) {
        System.exit(1);
      }
    });
    acceptor.setDaemon(true);
    acceptor.start();
    CountDownLatch go = new CountDownLatch(1);
    List<Thread> all = new ArrayList<>();
    for (int i = 0; i < CLIENTS; i++) {
      int number = i;
      all.add(Thread.ofVirtual().start(() -> talk(server.getLocalPort(), "virtual " + number, go)));
      all.add(Thread.ofPlatform().start(() -> talk(server.getLocalPort(), "platform " + number, go)));
    }
    System.out.write('\n');
    System.out.flush();
    System.in.read();
    go.countDown();
    for (Thread thread : all) thread.join();
    System.exit(0);
  }
}
