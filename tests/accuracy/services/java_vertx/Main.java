import io.vertx.core.AbstractVerticle;
import io.vertx.core.CompositeFuture;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;

/** Vert.x (Netty): two event loops, one client shared by both. */
public final class Main extends AbstractVerticle {
  private static final int EVENT_LOOPS = 2;
  private final HttpClient client;

  private Main(HttpClient client) {
    this.client = client;
  }

  @Override
  public void start() {
    HttpServerOptions options = new HttpServerOptions().setAcceptBacklog(4096);
    vertx.createHttpServer(options).requestHandler(this::handle).listen(Plan.PORT, "127.0.0.1");
  }

  private void handle(HttpServerRequest request) {
    request.body().compose(buffer -> {
      byte[] body = buffer.getBytes();
      Future<Void> chain = Future.succeededFuture();
      for (Plan.Step step : Plan.steps(body)) chain = chain.compose(done -> run(step, request.path(), body));
      return chain;
    }).onSuccess(done -> request.response().end("done\n"))
        .onFailure(failure -> request.response().setStatusCode(502).end());
  }

  private Future<Void> run(Plan.Step step, String path, byte[] body) {
    return pause(step.pauseMicros() / 1000)
        .compose(done -> CompositeFuture.all(step.calls().stream().map(i -> (Future) call(path, body, i)).toList()))
        .mapEmpty();
  }

  private Future<Void> pause(long millis) {
    if (millis == 0) return Future.succeededFuture();
    Promise<Void> over = Promise.promise();
    vertx.setTimer(millis, id -> over.complete());
    return over.future();
  }

  private Future<Void> call(String path, byte[] body, int index) {
    return client.request(HttpMethod.POST, Plan.BACKEND_PORT, "127.0.0.1", Plan.callPath(path, index))
        .compose(request -> request.send(Buffer.buffer(Plan.callBody(body, index))))
        .compose(response -> response.body().map(response))
        .compose(response -> response.statusCode() == 200
            ? Future.succeededFuture()
            : Future.failedFuture("backend answered " + response.statusCode()));
  }

  public static void main(String[] args) {
    Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(EVENT_LOOPS));
    HttpClient client = vertx.createHttpClient(
        new HttpClientOptions().setMaxPoolSize(Plan.CONNECTIONS).setKeepAliveTimeout(600));
    vertx.deployVerticle(() -> new Main(client), new DeploymentOptions().setInstances(EVENT_LOOPS));
  }
}
