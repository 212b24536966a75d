import java.io.IOException;
import java.util.concurrent.Executors;

/** A virtual thread for each request: it may change its carrier at every call. */
final class Main {
  public static void main(String[] args) throws IOException {
    HttpServerMain.serve(Executors.newVirtualThreadPerTaskExecutor());
  }

  private Main() {}
}
