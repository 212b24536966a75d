#include "agent/enrich/command_name.h"

#include <gtest/gtest.h>

#include <sstream>

namespace wirespan {
namespace {

// `line` is split at blanks; "~" stands for one.
std::vector<std::string> split(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> out;
  for (std::string word; in >> word;) {
    for (char& c : word) c = c == '~' ? ' ' : c;
    out.push_back(word);
  }
  return out;
}

struct Case {
  std::string exe;
  std::string line;
  std::string name;
  std::string cwd = "/srv/shop";
};

void expect(const std::vector<Case>& cases, bool interpreter = false) {
  for (const Case& c : cases) {
    const CommandName found = command_name(c.exe, split(c.line), c.cwd);
    EXPECT_EQ(found.name, c.name) << c.line;
    EXPECT_EQ(found.interpreter, interpreter) << c.line;
  }
}

constexpr auto kJava = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java";
constexpr auto kPython = "/usr/bin/python3.11";
constexpr auto kNode = "/usr/bin/node";
constexpr auto kRuby = "/usr/bin/ruby3.1";
constexpr auto kPhp = "/usr/bin/php8.2";

TEST(CommandName, Executables) {
  expect({{"/usr/sbin/nginx", "nginx -c f.conf", "nginx"},
          {"/usr/sbin/nginx", "nginx:~worker~process", "nginx"},
          {"/usr/sbin/nginx", "nginx:~master~process~nginx~-g~daemon~off;", "nginx"},
          {"/opt/orders/bin/orders", "./orders --port 80", "orders"},
          {"/opt/orders/bin/orders (deleted)", "./orders", "orders"},
          {"/tmp/go-build42/b001/exe/checkout", "/tmp/go-build42/b001/exe/checkout", "checkout"},
          {"/usr/lib/postgresql/15/bin/postgres", "postgres:~15/main:~walwriter", "postgres"},
          {"/usr/bin/redis-server", "/usr/bin/redis-server~127.0.0.1:6379", "redis-server"},
          {"/usr/sbin/sshd", "sshd:~root@pts/0", "sshd"},
          {"/lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2 /opt/billing arg", "billing"},
          {"", "/opt/billing arg", "billing"},
          {"", "", ""}});
}

TEST(CommandName, Java) {
  expect({{kJava, "java -jar x.jar", "x"},
          {kJava, "java -Xmx512m -XX:+UseG1GC -jar /opt/orders-1.4.2-SNAPSHOT.jar --server.port=1", "orders"},
          {kJava, "java -jar zipkin-server-3.5.1-exec.jar", "zipkin-server"},
          {kJava, "java -javaagent:a.jar -jar sp-1.jar", "sp-1"},
          {kJava, "java -cp a.jar:lib/* com.acme.orders.OrderService 1 2", "OrderService"},
          {kJava, "java -classpath a.jar com.acme.orders.Main", "orders"},
          {kJava, "java --add-opens java.base/java.io=ALL-UNNAMED --class-path a.jar com.acme.billing.App", "billing"},
          {kJava, "java -p mods -m com.acme.cart/com.acme.cart.Main", "cart"},
          {kJava, "java --module=com.acme.cart/com.acme.cart.CartServer", "CartServer"},
          {kJava, "java Front.java", "Front"},
          {kJava, "java -cp . Front", "Front"},
          {kJava, "java -Dspring.application.name=orders -jar app.jar", "orders"},
          {kJava, "java -jar app.jar --spring.application.name=orders", "orders"},
          {kJava, "java org.springframework.boot.loader.launch.JarLauncher", "shop"},
          {kJava, "java -Xmx1g kafka.Kafka server.properties", "kafka"},
          {kJava, "java -Dx=y -classpath b.jar org.apache.catalina.startup.Bootstrap start", "tomcat"},
          {kJava, "java @args com.acme.Pay", "Pay"}});
  expect({{kJava, "java -version", "java"}, {kJava, "java -jar", "java"}, {kJava, "java", "java"}}, true);
}

TEST(CommandName, Python) {
  expect({{kPython, "python3 app.py", "app"},
          {kPython, "python3 -u /srv/orders/orders_service.py --port 1", "orders_service"},
          {kPython, "python3 -W ignore -X dev main.py", "main"},
          {kPython, "python3 -m orders", "orders"},
          {kPython, "python3 -m orders.server --port 1", "orders.server"},
          {kPython, "python3 -m orders.__main__", "orders"},
          {kPython, "python3 /srv/orders/__main__.py", "orders"},
          {kPython, "python3 manage.py runserver", "shop"},
          {kPython, "python3 manage.py runserver", "orders", "/home/orders/src/app"},
          {kPython, "/usr/bin/python3 /usr/local/bin/gunicorn -b 127.0.0.1:31002 fl:app", "fl"},
          {kPython, "python3 /usr/bin/gunicorn -w 4 -k uvicorn.workers.UvicornWorker shop.orders.wsgi:application",
           "shop.orders"},
          {kPython, "python3 /usr/bin/gunicorn --bind unix:/run/x.sock app:create_app(env=1)", "app"},
          {kPython, "python3 -m gunicorn -c python:conf orders", "orders"},
          {kPython, "python3 /usr/bin/gunicorn -c conf.py", "shop"},
          {kPython, "gunicorn:~worker~[shop.wsgi:app]", "shop"},
          {kPython, "gunicorn:~master~[orders:app]", "orders"},
          {kPython, "python3 -m uvicorn pay.main:app --host localhost --port 80", "pay.main"},
          {kPython, "python3 /usr/bin/uvicorn --factory pay:make --reload", "pay"},
          {kPython, "python3 -m flask --app hello run", "hello"},
          {kPython, "python3 /usr/bin/flask run", "shop"},
          {kPython, "python3 /usr/bin/celery -A proj worker", "proj"},
          {kPython, "python3 -m celery --app=proj.tasks worker", "proj.tasks"},
          {kPython, "python3 /usr/bin/fastapi run --port 1 orders.py", "orders"},
          {kPython, "python3 -m http.server 8000", "http.server"},
          {"/usr/bin/uwsgi", "uwsgi --http :80 --module orders.wsgi:application", "orders"}});
  expect(
      {{kPython, "python3 -c import~x", "python"}, {kPython, "python3", "python"}, {kPython, "python3 -m", "python"}},
      true);
}

TEST(CommandName, Node) {
  expect({{kNode, "node server.js", "server"},
          {kNode, "node --require ./t.js --max-old-space-size=64 /srv/cart/cart.mjs", "cart"},
          {kNode, "node index.js", "shop"},
          {kNode, "node /srv/cart/dist/index.js", "cart"},
          {kNode, "node .", "shop"},
          {kNode, "node /srv/shop/node_modules/.bin/next start", "next"},
          {kNode, "node /srv/shop/node_modules/@nestjs/cli/bin/nest.js start", "@nestjs/cli"},
          {kNode, "node /srv/shop/node_modules/pm2/lib/Daemon.js", "pm2"},
          {kNode, "node /usr/bin/ts-node -P t.json src/orders.ts", "orders"}});
  expect({{kNode, "node -e 1", "node"}, {kNode, "node", "node"}}, true);
}

TEST(CommandName, RubyPhpDotnetAndScripts) {
  expect({{kRuby, "puma~5.6.5~(tcp://0.0.0.0:9292)~[orders]", "orders"},
          {kRuby, "puma:~cluster~worker~0:~4242~[orders]", "orders"},
          {kRuby, "ruby /usr/bin/puma -p 1 config.ru", "shop"},
          {kRuby, "ruby /usr/bin/bundle exec puma", "shop"},
          {kRuby, "ruby bin/rails server", "shop"},
          {kRuby, "ruby -I lib orders.rb", "orders"},
          {"/usr/sbin/php-fpm8.2", "php-fpm:~pool~www", "php-fpm"},
          {"/usr/sbin/php-fpm8.2", "php-fpm:~pool~orders", "orders"},
          {"/usr/sbin/php-fpm8.2", "php-fpm:~master~process~(/etc/php.conf)", "php-fpm"},
          {kPhp, "php -S 127.0.0.1:80 router.php", "shop"},
          {kPhp, "php -S 127.0.0.1:80 orders.php", "orders"},
          {kPhp, "php -S 127.0.0.1:80 -t /srv/cart/public", "cart"},
          {kPhp, "php artisan serve", "shop"},
          {"/usr/bin/dotnet", "dotnet /app/Shop.Orders.dll --urls x", "Shop.Orders"},
          {"/usr/bin/perl", "perl -w /opt/bill.pl", "bill"},
          {"/usr/bin/bash", "bash /opt/run.sh", "run"},
          {"/usr/bin/deno", "deno run --allow-net pay.ts", "pay"},
          {"/usr/lib/erlang/bin/beam.smp", "beam.smp -- -root /x -sname rabbit@host", "rabbit"}});
  expect({{kRuby, "ruby -e 1", "ruby"}, {"/usr/bin/bash", "bash -c x", "bash"}, {kPhp, "php", "php"}}, true);
}

}  // namespace
}  // namespace wirespan
