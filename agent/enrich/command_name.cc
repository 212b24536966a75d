#include "agent/enrich/command_name.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "agent/enrich/command_text.h"

namespace wirespan {
namespace {

using command::option;
using command::script_name;
using command::skip_options;
using command::Words;

// A launched program's words after its interpreter, and where it runs.
struct Call {
  Words words;
  std::string_view cwd;
};
using Reader = std::string (*)(const Call&);

std::string directory_or(const Call& call, std::string_view otherwise) {
  std::string name = command::directory_name(call.cwd);
  return name.empty() ? std::string(otherwise) : name;
}

// --- Java -----------------------------------------------------------------------------------------------------------

// "orders-1.4.2-SNAPSHOT" -> "orders": a service keeps its name over releases. "sp-1" stays.
std::string_view without_version(std::string_view name) {
  for (auto dash = name.find('-'); dash != std::string_view::npos; dash = name.find('-', dash + 1)) {
    const std::string_view rest = name.substr(dash + 1);
    const auto dot = rest.find('.');
    if (dot == 0 || dot == std::string_view::npos || dot + 1 >= rest.size()) continue;
    const auto number = [](char c) { return c >= '0' && c <= '9'; };
    if (std::all_of(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(dot), number) && number(rest[dot + 1])) {
      return name.substr(0, dash);
    }
  }
  return name;
}

std::string class_name(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kServers = {
      {{"org.apache.catalina.startup.Bootstrap", "tomcat"},
       {"org.eclipse.jetty.start.Main", "jetty"},
       {"kafka.Kafka", "kafka"},
       {"org.apache.zookeeper.server.quorum.QuorumPeerMain", "zookeeper"},
       {"org.elasticsearch.bootstrap.Elasticsearch", "elasticsearch"},
       {"org.apache.cassandra.service.CassandraDaemon", "cassandra"},
       {"org.jboss.modules.Main", "wildfly"},
       {"org.apache.activemq.artemis.boot.Artemis", "artemis"},
       {"org.opensearch.bootstrap.OpenSearch", "opensearch"},
       {"io.vertx.core.Launcher", "vertx"}}};
  for (const auto& [server, short_name] : kServers) {
    if (name == server) return std::string(short_name);
  }
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::string(command::stem(name));
  const std::string_view simple = name.substr(dot + 1);
  static constexpr std::array<std::string_view, 8> kCommon = {"Main",      "App",    "Application", "Launcher",
                                                              "Bootstrap", "Server", "Start",       "MainKt"};
  if (std::find(kCommon.begin(), kCommon.end(), simple) == kCommon.end()) return std::string(simple);
  const std::string_view package = name.substr(0, dot);
  return std::string(package.substr(package.rfind('.') + 1));
}

std::string java(const Call& call) {
  static constexpr std::string_view kWithValue =
      " -cp -classpath --class-path -p --module-path --add-exports --add-opens --add-modules --add-reads "
      "--limit-modules"
      " --upgrade-module-path --source --enable-native-access ";
  Words words = call.words;
  for (const std::string_view property : {"-Dspring.application.name", "--spring.application.name"}) {
    if (const auto name = option(words, property); !name.empty()) return std::string(name);
  }
  while (!words.empty()) {
    const std::string& word = words.front();
    const bool last = words.size() == 1;
    if (word == "-jar") return last ? std::string() : std::string(without_version(command::stem(words[1])));
    if ((word == "-m" || word == "--module") && !last) {
      const std::string_view target = words[1];
      const auto slash = target.find('/');
      return class_name(slash == std::string_view::npos ? target : target.substr(slash + 1));
    }
    if (word.starts_with("--module=")) return class_name(file_name(std::string_view(word).substr(9)));
    if (word.empty() || (word[0] != '-' && word[0] != '@')) {
      if (word.starts_with("org.springframework.boot.loader.")) return directory_or(call, "spring-boot");
      return class_name(word.ends_with(".java") ? file_name(word).substr(0, file_name(word).size() - 5) : word);
    }
    const bool takes_next = kWithValue.find(" " + word + " ") != std::string_view::npos;
    words = words.subspan(std::min<std::size_t>(takes_next ? 2 : 1, words.size()));
  }
  return {};
}

// --- Python ---------------------------------------------------------------------------------------------------------

// The first word that names an application "module:object"; these tools also take options in any place.
std::string application(const Call& call, std::string_view tool) {
  for (const std::string& word : call.words) {
    const auto colon = word.find(':');
    if (word.empty() || word[0] == '-' || word.find('=') < colon) continue;
    // Not "127.0.0.1:8000" or "unix:/run/x.sock", which follow options.
    if (colon == std::string::npos || colon == 0 || colon + 1 == word.size()) continue;
    const char first = word[0];
    const char object = word[colon + 1];
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    // "localhost:8000" has a number behind, "unix:/run/x" a slash; "python:conf" and "file:conf" name gunicorn's
    // settings.
    if (!letter(first) || !letter(object) || word.starts_with("python:") || word.starts_with("file:")) continue;
    return command::module_name(word, call.cwd);
  }
  // gunicorn and waitress take a bare module as the last word.
  if (!call.words.empty() && (tool == "gunicorn" || tool == "waitress-serve")) {
    const std::string& last = call.words.back();
    const bool value = call.words.size() > 1 && call.words[call.words.size() - 2].starts_with('-');
    if (!last.empty() && last[0] != '-' && !value) return command::module_name(last, call.cwd);
  }
  return directory_or(call, tool);
}

std::string flask(const Call& call) {
  for (const std::string_view name : {"--app", "-A"}) {
    if (const auto app = option(call.words, name); !app.empty()) return command::module_name(app, call.cwd);
  }
  return directory_or(call, "flask");
}

std::string celery(const Call& call) {
  for (const std::string_view name : {"--app", "-A"}) {
    if (const auto app = option(call.words, name); !app.empty()) return command::module_name(app, call.cwd);
  }
  return "celery";
}

std::string uwsgi(const Call& call) {
  for (const std::string_view name : {"--module", "-w", "--wsgi", "--wsgi-file"}) {
    if (const auto app = option(call.words, name); !app.empty()) return command::module_name(app, call.cwd);
  }
  return directory_or(call, "uwsgi");
}

std::string run_script(const Call& call) {  // "fastapi run main.py", "streamlit run x.py"
  const Words rest = skip_options(call.words.empty() ? call.words : call.words.subspan(1), " --host --port ");
  return rest.empty() ? std::string() : script_name(rest.front(), call.cwd);
}

std::optional<std::string> python_tool(std::string_view name, const Call& call) {
  for (const std::string_view server : {"gunicorn", "uvicorn", "hypercorn", "daphne", "waitress-serve", "waitress"}) {
    if (name == server) return application(call, name == "waitress" ? "waitress-serve" : name);
  }
  if (name == "flask") return flask(call);
  if (name == "celery") return celery(call);
  if (name == "fastapi" || name == "streamlit") return run_script(call);
  return std::nullopt;
}

std::string python(const Call& call) {
  Words words = call.words;
  while (!words.empty() && words.front().starts_with('-') && words.front().size() > 1) {
    const std::string_view word = words.front();
    if (word == "-c" || word.starts_with("-c")) return {};
    if (word == "-m" || (word.starts_with("-m") && word.size() > 2)) {
      if (word == "-m" && words.size() == 1) return {};
      const std::string_view module = word == "-m" ? std::string_view(words[1]) : word.substr(2);
      const Call rest{words.subspan(word == "-m" ? 2 : 1), call.cwd};
      if (auto name = python_tool(module, rest)) return *name;
      return command::module_name(module, call.cwd);
    }
    const bool takes_next = word == "-W" || word == "-X" || word == "--check-hash-based-pycs";
    words = words.subspan(std::min<std::size_t>(takes_next ? 2 : 1, words.size()));
  }
  if (words.empty()) return {};
  if (auto name = python_tool(file_name(words.front()), {words.subspan(1), call.cwd})) return *name;
  return script_name(words.front(), call.cwd);
}

// --- The others -----------------------------------------------------------------------------------------------------

std::string node(const Call& call) {
  Words words = skip_options(call.words,
                             " -r --require --import --loader --experimental-loader -C --conditions --env-file --title"
                             " --max-http-header-size ");
  for (const std::string_view code : {"-e", "--eval", "-p", "--print"}) {
    if (!option(call.words, code).empty()) return {};
  }
  if (words.empty()) return {};
  for (const std::string_view runner : {"ts-node", "tsx", "nodemon", "babel-node", "ts-node-dev"}) {
    if (file_name(words.front()) != runner) continue;
    const Words rest = skip_options(words.subspan(1), " -P --project -r --require --watch -w ");
    if (!rest.empty()) words = rest;
  }
  const std::string_view path = words.front();
  constexpr std::string_view kModules = "node_modules/";
  if (const auto at = path.rfind(kModules); at != std::string_view::npos) {
    std::string_view package = path.substr(at + kModules.size());
    if (package.starts_with(".bin/")) return std::string(command::stem(package));
    auto end = package.find('/');
    if (package.starts_with('@') && end != std::string_view::npos) end = package.find('/', end + 1);
    return std::string(package.substr(0, end));
  }
  return script_name(path, call.cwd);
}

std::string ruby(const Call& call) {
  Words words = skip_options(call.words, " -I -r -C -E -W ");
  if (!option(call.words, "-e").empty() || words.empty()) return {};
  std::string_view name = file_name(words.front());
  // "bundle exec puma", "bin/rails server".
  if (name == "bundle" && words.size() > 2) {
    words = words.subspan(2);
    name = file_name(words.front());
  }
  for (const std::string_view server :
       {"puma", "unicorn", "rackup", "thin", "rails", "passenger", "sidekiq", "bundle"}) {
    if (name != server) continue;
    if (const auto tag = option(words, "--tag"); !tag.empty()) return std::string(tag);
    return directory_or(call, server);
  }
  return script_name(words.front(), call.cwd);
}

std::string php(const Call& call) {
  static constexpr std::string_view kWithValue = " -S -t -d -c -z -B -R -F -E --server --docroot --define --php-ini ";
  const Words words = skip_options(call.words, kWithValue);
  if (const auto file = option(call.words, "-f"); !file.empty()) return script_name(file, call.cwd);
  if (!words.empty()) return script_name(words.front(), call.cwd);
  if (option(call.words, "-S").empty()) return {};
  const auto root = option(call.words, "-t");
  std::string name = command::directory_name(root.starts_with('/') ? std::string(root)
                                                                   : std::string(call.cwd) + "/" + std::string(root));
  return name;
}

std::string dotnet(const Call& call) {
  Words words = skip_options(call.words, " --depsfile --runtimeconfig --additionalprobingpath --fx-version ");
  if (!words.empty() && words.front() == "exec") words = skip_options(words.subspan(1), " --depsfile --runtimeconfig ");
  if (!words.empty() && words.front().ends_with(".dll")) return std::string(command::stem(words.front()));
  return directory_or(call, "");
}

std::string beam(const Call& call) {
  for (const std::string_view name : {"-sname", "-name"}) {
    if (const auto node = option(call.words, name); !node.empty()) return std::string(node.substr(0, node.find('@')));
  }
  return {};
}

std::string script(const Call& call) {
  if (!option(call.words, "-c").empty() || !option(call.words, "-e").empty()) return {};
  Words words = skip_options(call.words, " -o -I -M -m ");
  if (!words.empty() && words.front() == "run") words = skip_options(words.subspan(1), " ");  // deno, bun
  return words.empty() ? std::string() : script_name(words.front(), call.cwd);
}

struct Interpreter {
  std::string_view name;
  Reader read;
};
constexpr std::array<Interpreter, 23> kInterpreters = {
    {{"java", java},     {"python", python}, {"pypy", python},   {"uwsgi", uwsgi}, {"node", node},
     {"nodejs", node},   {"ruby", ruby},     {"jruby", ruby},    {"php", php},     {"php-cgi", php},
     {"dotnet", dotnet}, {"beam.smp", beam}, {"perl", script},   {"lua", script},  {"luajit", script},
     {"bash", script},   {"dash", script},   {"sh", script},     {"zsh", script},  {"busybox", script},
     {"deno", script},   {"bun", script},    {"Rscript", script}}};

// "python3.11" -> "python", "php8.2" -> "php", "ruby3.1" -> "ruby".
std::string_view without_number(std::string_view name) {
  while (!name.empty() && ((name.back() >= '0' && name.back() <= '9') || name.back() == '.')) name.remove_suffix(1);
  return name;
}

const Interpreter* interpreter(std::string_view program) {
  for (const Interpreter& i : kInterpreters) {
    if (program == i.name || without_number(program) == i.name) return &i;
  }
  return nullptr;
}

// "gunicorn: worker [shop.wsgi:app]" -> "shop.wsgi:app".
std::string_view bracketed(std::string_view title) {
  const auto open = title.find('[');
  const auto close = title.find(']', open);
  if (open == std::string_view::npos || close == std::string_view::npos) return {};
  return title.substr(open + 1, close - open - 1);
}

// Servers that write a title over their arguments leave one word with blanks in it, or with a colon.
std::string titled(std::string_view title, std::string_view cwd) {
  const std::string_view tag = bracketed(title);
  if (title.starts_with("gunicorn: ")) {
    return tag.empty() || tag == "gunicorn" ? "gunicorn" : command::module_name(tag, cwd);
  }
  if (title.starts_with("puma ") || title.starts_with("puma: ")) return std::string(tag.empty() ? "puma" : tag);
  if (title.starts_with("unicorn")) return command::directory_name(cwd);
  if (title.starts_with("php-fpm: pool ")) {
    const std::string_view pool = title.substr(14, title.find(' ', 14) - 14);
    return std::string(pool.empty() || pool == "www" ? "php-fpm" : pool);
  }
  const auto colon = title.find(": ");
  if (colon == std::string_view::npos || colon == 0 || title.find(' ') < colon) return {};
  return std::string(file_name(title.substr(0, colon)));
}

}  // namespace

std::string_view file_name(std::string_view path) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

CommandName command_name(std::string_view exe, const std::vector<std::string>& arguments, std::string_view directory) {
  std::string_view program = file_name(exe);
  Words words(arguments);
  // The dynamic loader started by hand: the program is its first argument.
  if (program.starts_with("ld-linux") && words.size() > 1) {
    words = words.subspan(1);
    program = file_name(words.front());
  }
  if (!words.empty()) {
    if (std::string name = titled(words.front(), directory); !name.empty()) return {std::move(name), false};
  }
  const Interpreter* found = interpreter(program);
  // Launchers such as jsvc or a renamed node binary say in argv[0] what they are.
  if (found == nullptr && !words.empty() && program.empty()) {
    program = file_name(words.front());
    found = interpreter(program);
  }
  if (found == nullptr) return {std::string(program), false};
  if (words.size() > 1) {
    if (std::string name = found->read({words.subspan(1), directory}); !name.empty()) return {std::move(name), false};
  }
  return {std::string(found->name), true};
}

}  // namespace wirespan
