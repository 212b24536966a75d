import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The work a request asks for (services/README.md), for the Java services. */
final class Plan {
  static final int PORT = setting("PORT");
  static final int BACKEND_PORT = setting("BACKEND_PORT");
  static final int WORKERS = setting("WORKERS");
  static final int CONNECTIONS = setting("CONNECTIONS");
  static final int BACKGROUND_MS = setting("BACKGROUND_MS");
  static final int BODY_SIZE = 3170;
  private static final int TOKEN_AT = 3072;
  private static final int INDEX_AT = 3104;
  private static final String[] DISTINCT = {"/users", "/stock", "/price", "/offers", "/audit"};

  /** Calls made at once, after a pause. */
  record Step(long pauseMicros, List<Integer> calls) {
    void pause() throws InterruptedException {
      if (pauseMicros > 0) Thread.sleep(pauseMicros / 1000, (int) (pauseMicros % 1000) * 1000);
    }
  }

  static List<Step> steps(byte[] body) {
    int[] d = new int[INDEX_AT - TOKEN_AT];
    for (int i = 0; i < d.length; i++) d[i] = Character.digit(body[TOKEN_AT + i], 16);
    List<Integer> calls = new ArrayList<>();
    for (int i = 0; i < 1 + d[0] % 5; i++) {
      if (i == 0 || d[1 + i] >= 4) calls.add(i);
    }
    List<List<Integer>> groups = new ArrayList<>();
    switch (d[6] % 3) {
      case 0 -> calls.forEach(call -> groups.add(List.of(call)));
      case 1 -> groups.add(calls);
      default -> {
        groups.add(calls.subList(0, 1));
        if (calls.size() > 1) groups.add(calls.subList(1, calls.size()));
      }
    }
    return groups.stream().map(group -> new Step(d[7 + group.get(0)] * 250L, group)).toList();
  }

  static byte[] callBody(byte[] body, int index) {
    byte[] out = body.clone();
    out[INDEX_AT] = '0';
    out[INDEX_AT + 1] = (byte) ('0' + index);
    return out;
  }

  static String callUrl(String incoming, int index) {
    return "http://127.0.0.1:" + BACKEND_PORT + callPath(incoming, index);
  }

  static String callPath(String incoming, int index) {
    if (incoming.equals("/refresh")) return incoming;
    return incoming.equals("/order") ? DISTINCT[index] : "/query";
  }

  static byte[] backgroundBody() {
    byte[] body = new byte[BODY_SIZE];
    Arrays.fill(body, (byte) '.');
    Arrays.fill(body, TOKEN_AT, INDEX_AT, (byte) '-');
    body[BODY_SIZE - 1] = '\n';
    return body;
  }

  private static int setting(String name) {
    return Integer.parseInt(System.getenv(name));
  }

  private Plan() {}
}
