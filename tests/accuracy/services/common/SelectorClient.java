import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Calls with the JDK's newer client: a thread of its own reads all responses, and whoever called waits for its future. */
final class SelectorClient {
  private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  static void call(String incoming, byte[] body, int index) throws IOException, InterruptedException {
    check(CLIENT.send(request(incoming, body, index), HttpResponse.BodyHandlers.ofByteArray()));
  }

  /** All at once, and waits for them. */
  static void join(String incoming, byte[] body, List<Integer> calls) {
    CompletableFuture.allOf(calls.stream()
        .map(index -> CLIENT.sendAsync(request(incoming, body, index), HttpResponse.BodyHandlers.ofByteArray())
            .thenAccept(response -> {
              if (response.statusCode() != 200) throw new IllegalStateException("backend answered " + response.statusCode());
            }))
        .toArray(CompletableFuture[]::new)).join();
  }

  /** Everything a request asks for, one after the other. */
  static void work(String incoming, byte[] body) throws IOException, InterruptedException {
    for (Plan.Step step : Plan.steps(body)) {
      step.pause();
      for (int index : step.calls()) call(incoming, body, index);
    }
  }

  private static HttpRequest request(String incoming, byte[] body, int index) {
    return HttpRequest.newBuilder(URI.create(Plan.callUrl(incoming, index)))
        .header("Content-Type", "text/plain")
        .POST(HttpRequest.BodyPublishers.ofByteArray(Plan.callBody(body, index)))
        .build();
  }

  private static void check(HttpResponse<byte[]> response) throws IOException {
    if (response.statusCode() != 200) throw new IOException("backend answered " + response.statusCode());
  }

  private SelectorClient() {}
}
