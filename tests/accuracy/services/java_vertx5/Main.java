import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.PoolOptions;
import io.vertx.ext.web.client.WebClient;
import io.vertx.ext.web.client.WebClientOptions;
import java.util.concurrent.TimeUnit;

/** Vert.x 5: two event loops, one WebClient shared by both, timers as futures. */
public final class Main extends VerticleBase {
  private static final int EVENT_LOOPS = 2;
  private final WebClient client;

  private Main(WebClient client) {
    this.client = client;
  }

  @Override
  public Future<?> start() {
    HttpServerOptions options = new HttpServerOptions().setAcceptBacklog(4096);
    return vertx.createHttpServer(options).requestHandler(this::handle).listen(Plan.PORT, "127.0.0.1");
  }

  private void handle(HttpServerRequest request) {
    request.body().compose(buffer -> {
      byte[] body = buffer.getBytes();
      Future<?> chain = Future.succeededFuture();
      for (Plan.Step step : Plan.steps(body)) chain = chain.compose(done -> run(step, request.path(), body));
      return chain;
    }).onSuccess(done -> request.response().end("done\n"))
        .onFailure(failure -> request.response().setStatusCode(502).end());
  }

  private Future<?> run(Plan.Step step, String path, byte[] body) {
    return pause(step.pauseMicros() / 1000)
        .compose(done -> Future.all(step.calls().stream().map(i -> call(path, body, i)).toList()));
  }

  private Future<?> pause(long millis) {
    return millis == 0 ? Future.succeededFuture() : vertx.timer(millis, TimeUnit.MILLISECONDS);
  }

  private Future<?> call(String path, byte[] body, int index) {
    return client.post(Plan.BACKEND_PORT, "127.0.0.1", Plan.callPath(path, index))
        .sendBuffer(Buffer.buffer(Plan.callBody(body, index)))
        .compose(response -> response.statusCode() == 200
            ? Future.succeededFuture()
            : Future.failedFuture("backend answered " + response.statusCode()));
  }

  public static void main(String[] args) {
    Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(EVENT_LOOPS));
    WebClientOptions options = new WebClientOptions();
    options.setKeepAliveTimeout(600);
    WebClient client = WebClient.create(vertx, options, new PoolOptions().setHttp1MaxSize(Plan.CONNECTIONS));
    vertx.deployVerticle(() -> new Main(client), new DeploymentOptions().setInstances(EVENT_LOOPS));
  }
}
