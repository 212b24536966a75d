import java.io.IOException;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;

/** Blocking calls with the JDK's own client and its shared keep-alive cache. */
final class Blocking {
  static void call(String incoming, byte[] body, int index) throws IOException {
    HttpURLConnection c = (HttpURLConnection) URI.create(Plan.callUrl(incoming, index)).toURL().openConnection();
    c.setRequestMethod("POST");
    c.setRequestProperty("Content-Type", "text/plain");
    c.setDoOutput(true);
    c.setFixedLengthStreamingMode(body.length);
    try (OutputStream out = c.getOutputStream()) {
      out.write(Plan.callBody(body, index));
    }
    if (c.getResponseCode() != 200) throw new IOException("backend answered " + c.getResponseCode());
    try (var in = c.getInputStream()) {
      in.readAllBytes();
    }
  }

  /** Calls no request asked for, from a thread of their own. */
  static void startBackground() {
    if (Plan.BACKGROUND_MS == 0) return;
    Thread thread = new Thread(() -> {
      while (true) {
        try {
          Thread.sleep(Plan.BACKGROUND_MS);
          call("/refresh", Plan.backgroundBody(), 0);
        } catch (IOException | InterruptedException e) {
          return;
        }
      }
    });
    thread.setDaemon(true);
    thread.start();
  }

  /** Everything a request asks for, in this thread. */
  static void work(String incoming, byte[] body) throws IOException, InterruptedException {
    for (Plan.Step step : Plan.steps(body)) {
      step.pause();
      for (int index : step.calls()) call(incoming, body, index);
    }
  }

  private Blocking() {}
}
