import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/** A blocking servlet in embedded Jetty. */
final class Main extends HttpServlet {
  @Override
  protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
    byte[] body = request.getInputStream().readAllBytes();
    try {
      Blocking.work(request.getRequestURI(), body);
    } catch (IOException | InterruptedException e) {
      response.setStatus(502);
    }
    response.setContentType("text/plain");
    response.setContentLength(5);
    response.getOutputStream().print("done\n");
  }

  public static void main(String[] args) throws Exception {
    Blocking.startBackground();
    // Jetty itself keeps a few threads: acceptor, selectors, reserved.
    Server server = new Server(new QueuedThreadPool(Plan.WORKERS + 8));
    ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(Plan.PORT);
    connector.setAcceptQueueSize(4096);
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler();
    context.addServlet(new ServletHolder(new Main()), "/*");
    server.setHandler(context);
    server.start();
  }
}
