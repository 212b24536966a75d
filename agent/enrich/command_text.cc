#include "agent/enrich/command_text.h"

#include <algorithm>
#include <array>

#include "agent/enrich/command_name.h"

namespace wirespan::command {
namespace {

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string_view stem(std::string_view path) {
  static constexpr std::array<std::string_view, 17> kEndings = {".py", ".pyc", ".pyz", ".js",  ".mjs", ".cjs",
                                                                ".ts", ".tsx", ".rb",  ".ru",  ".php", ".pl",
                                                                ".sh", ".lua", ".jar", ".war", ".dll"};
  const std::string_view name = file_name(path);
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || !among(kEndings, name.substr(dot))) return name;
  return name.substr(0, dot);
}

bool says_nothing(std::string_view name) {
  static constexpr std::array<std::string_view, 11> kNames = {
      "__init__", "__main__", "artisan", "asgi", "config", "console", "index", "manage", "router", "www", "wsgi"};
  return name.empty() || name == "." || name == ".." || among(kNames, name);
}

std::string directory_name(std::string_view directory) {
  static constexpr std::array<std::string_view, 27> kCommon = {
      "app",  "bin", "build",   "code",    "current", "dist", "home", "html",          "lib",
      "main", "opt", "public",  "release", "root",    "sbin", "srv",  "site-packages", "src",
      "tmp",  "usr", "usr-app", "var",     "web",     "work", "www",  "workspace",     "node_modules"};
  while (!directory.empty()) {
    const auto slash = directory.rfind('/');
    const std::string_view last = slash == std::string_view::npos ? directory : directory.substr(slash + 1);
    if (last.size() > 1 && !last.starts_with('.') && !among(kCommon, last)) return std::string(last);
    directory = slash == std::string_view::npos ? std::string_view() : directory.substr(0, slash);
  }
  return {};
}

std::string script_name(std::string_view path, std::string_view cwd) {
  const std::string_view name = stem(path);
  if (!says_nothing(name)) return std::string(name);
  const auto slash = path.rfind('/');
  std::string where = slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
  if (!path.starts_with('/')) where = std::string(cwd) + "/" + where;
  std::string parent = directory_name(where);
  return parent.empty() ? std::string(name) : parent;
}

std::string module_name(std::string_view application, std::string_view cwd) {
  std::string_view module = application.substr(0, application.find(':'));
  if (module.find('/') != std::string_view::npos || module.ends_with(".py")) return script_name(module, cwd);
  for (auto dot = module.rfind('.'); dot != std::string_view::npos && says_nothing(module.substr(dot + 1));
       dot = module.rfind('.')) {
    module = module.substr(0, dot);
  }
  if (!says_nothing(module)) return std::string(module);
  std::string parent = directory_name(cwd);
  return parent.empty() ? std::string(module) : parent;
}

Words skip_options(Words words, std::string_view with_value) {
  while (!words.empty() && words.front().size() > 1 && words.front().front() == '-') {
    if (words.front() == "--") return words.subspan(1);
    const bool takes_next = with_value.find(" " + words.front() + " ") != std::string_view::npos;
    words = words.subspan(std::min<std::size_t>(takes_next ? 2 : 1, words.size()));
  }
  return words;
}

std::string_view option(Words words, std::string_view name) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with(name)) continue;
    if (word.size() == name.size()) return i + 1 < words.size() ? std::string_view(words[i + 1]) : std::string_view();
    if (word[name.size()] == '=') return word.substr(name.size() + 1);
  }
  return {};
}

}  // namespace wirespan::command
