import java.io.IOException;
import java.util.concurrent.Executors;

/**
 * A virtual thread for each request: it may change its carrier at every call. It makes them itself, or by the JDK's newer
 * client (-Dvariant=client).
 */
final class Main {
  public static void main(String[] args) throws IOException {
    boolean selector = System.getProperty("variant", "").equals("client");
    HttpServerMain.serve(Executors.newVirtualThreadPerTaskExecutor(), selector ? SelectorClient::work : Blocking::work);
  }

  private Main() {}
}
