import java.io.IOException;
import java.util.concurrent.Executors;

/** A fixed pool whose thread reads the request, makes the calls and answers. */
final class Main {
  public static void main(String[] args) throws IOException {
    HttpServerMain.serve(Executors.newFixedThreadPool(Plan.WORKERS));
  }

  private Main() {}
}
