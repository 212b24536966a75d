package io.vertx.core.impl;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Threads that name the context they work in as Vert.x's do, and change it at each line: each says which it is. Objects
 * are moved between the rounds. Up: writes a byte and waits for one. The argument is a pipe: a byte from it whenever
 * what was said last has been seen, the first when the threads are understood. */
public class VertxThreads {
  static final int CONTEXTS = 6;
  static final int ROUNDS = 6;
  static final int HELLO_MS = 50;
  static final int MOST_HELLOS = 1200;

  static long collections() {
    long sum = 0;
    for (GarbageCollectorMXBean bean : ManagementFactory.getGarbageCollectorMXBeans()) sum += bean.getCollectionCount();
    return sum;
  }

  static volatile Object garbage;

  static void collect() {
    for (long before = collections(); collections() == before; ) garbage = new byte[64 << 10];
  }

  static void say(Socket socket, String line) throws IOException {
    socket.getOutputStream().write((line + "\n").getBytes(StandardCharsets.US_ASCII));
    if (socket.getInputStream().read() < 0) throw new IOException("closed");
  }

  public static void main(String[] arguments) throws Exception {
    InputStream seen = new FileInputStream(arguments[0]);
    ServerSocket server = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
    Thread acceptor = new Thread(() -> {
      try {
        while (true) {
          Socket peer = server.accept();
          new Thread(() -> {
            try (peer) {
              InputStream in = peer.getInputStream();
              for (int c; (c = in.read()) >= 0; ) {
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
    Object lock = new Object();
    boolean[] go = {false};
    VertxThread loop = new VertxThread(() -> {
      try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort())) {
        synchronized (lock) {
          while (!go[0]) lock.wait();
        }
        VertxThread self = (VertxThread) Thread.currentThread();
        List<int[]> contexts = new ArrayList<>();
        for (int i = 0; i < CONTEXTS; i++) contexts.add(new int[] {i});
        self.context = contexts.get(0);
        for (int i = 0; seen.available() == 0; i++) {
          if (i == MOST_HELLOS) System.exit(1);
          say(socket, "hello " + i);
          Thread.sleep(HELLO_MS);
        }
        seen.read();
        for (int round = 0; round < ROUNDS; round++) {
          self.context = null;
          say(socket, "none");
          for (int i = 0; i < CONTEXTS; i++) {
            self.context = contexts.get(i);
            say(socket, "context " + i + " round " + round);
          }
          seen.read();
          collect();
          say(socket, "context " + (CONTEXTS - 1) + " moved");
          seen.read();
        }
        System.exit(0);
      } catch (IOException | InterruptedException e) {
        System.exit(1);
      }
    });
    loop.start();
    System.out.write('\n');
    System.out.flush();
    System.in.read();
    synchronized (lock) {
      go[0] = true;
      lock.notifyAll();
    }
    loop.join();
  }
}

class VertxThread extends Thread {
  private final boolean worker = false;
  private final Object info = "";
  Object context;

  VertxThread(Runnable run) {
    super(run);
  }
}
