import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionService;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The thread that reads a request and answers it has another pool's threads make its calls, one by one, and waits for
 * them: in the order in which they were handed over, or for all at once (-Dvariant=all), or for one that makes them
 * all (whole), at a latch (latch), or for whichever is done next (completion).
 */
final class Main {
  private static final String VARIANT = System.getProperty("variant", "");
  private static final ExecutorService CALLS = Executors.newFixedThreadPool(Plan.WORKERS);

  public static void main(String[] args) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Plan.PORT), 4096);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext("/", Main::handle);
    server.start();
  }

  private static void handle(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    String path = exchange.getRequestURI().getPath();
    int status = 200;
    try {
      if (VARIANT.startsWith("client")) {
        SelectorClient.work(path, body);
      } else if (VARIANT.startsWith("whole")) {
        CALLS.submit(() -> {
          Blocking.work(path, body);
          return null;
        }).get();
      } else {
        for (Plan.Step step : Plan.steps(body)) {
          step.pause();
          if (VARIANT.startsWith("threads")) threads(path, body, step.calls());
          else if (VARIANT.startsWith("join")) SelectorClient.join(path, body, step.calls());
          else if (VARIANT.startsWith("latch")) atLatch(path, body, step.calls());
          else if (VARIANT.startsWith("completion")) asCompleted(path, body, step.calls());
          else if (VARIANT.startsWith("all")) together(path, body, step.calls());
          else inOrder(path, body, step.calls());
        }
      }
    } catch (ExecutionException | RuntimeException | InterruptedException e) {
      status = 502;
    }
    HttpServerMain.answer(exchange, status);
  }

  private static void inOrder(String path, byte[] body, List<Integer> calls) throws ExecutionException, InterruptedException {
    List<Future<?>> made = new ArrayList<>();
    for (int index : calls) {
      made.add(CALLS.submit(() -> {
        if (VARIANT.startsWith("order-client")) SelectorClient.call(path, body, index);
        else Blocking.call(path, body, index);
        return null;
      }));
    }
    for (Future<?> call : made) call.get();
  }

  private static void atLatch(String path, byte[] body, List<Integer> calls) throws InterruptedException {
    CountDownLatch latch = new CountDownLatch(calls.size());
    AtomicInteger failed = new AtomicInteger();
    for (int index : calls) {
      CALLS.execute(() -> {
        try {
          Blocking.call(path, body, index);
        } catch (IOException e) {
          failed.incrementAndGet();
        } finally {
          latch.countDown();
        }
      });
    }
    latch.await();
    if (failed.get() != 0) throw new IllegalStateException(failed.get() + " calls failed");
  }

  private static void asCompleted(String path, byte[] body, List<Integer> calls) throws ExecutionException, InterruptedException {
    CompletionService<Void> made = new ExecutorCompletionService<>(CALLS);
    for (int index : calls) {
      made.submit(() -> {
        Blocking.call(path, body, index);
        return null;
      });
    }
    for (int index : calls) made.take().get();
  }

  private static void threads(String path, byte[] body, List<Integer> calls) throws InterruptedException {
    List<Thread> made = new ArrayList<>();
    for (int index : calls) {
      Thread thread = new Thread(() -> {
        try {
          Blocking.call(path, body, index);
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      });
      thread.start();
      made.add(thread);
    }
    for (Thread thread : made) thread.join();
  }

  private static void together(String path, byte[] body, List<Integer> calls) {
    CompletableFuture.allOf(calls.stream().map(index -> CompletableFuture.runAsync(() -> {
      try {
        Blocking.call(path, body, index);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }, CALLS)).toArray(CompletableFuture[]::new)).join();
  }

  private Main() {}
}
