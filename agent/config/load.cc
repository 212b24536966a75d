#include "agent/config/load.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "agent/config/schema.h"
#include "agent/config/values.h"

namespace wirespan {
namespace {

using config::Key;

constexpr std::size_t kLargestFile = 1 << 20;

bool name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool name_char(char c) {
  return name_start(c) || (c >= '0' && c <= '9');
}

// OpenTelemetry configuration data model, "Environment variable substitution". The result is never expanded again.
struct Expanded {
  std::string text;
  bool had_variable = false;
  std::string error;
};
Expanded expand(std::string_view text, const ConfigSources::Lookup& environment) {
  Expanded out;
  while (!text.empty()) {
    const auto dollar = text.find('$');
    out.text.append(text.substr(0, dollar));
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      out.text.push_back('$');
      text.remove_prefix(1);
      continue;
    }
    if (!text.starts_with('{')) {
      out.text.push_back('$');
      continue;
    }
    const auto close = text.find('}');
    std::string_view inside = text.substr(1, close == std::string_view::npos ? 0 : close - 1);
    text = close == std::string_view::npos ? std::string_view() : text.substr(close + 1);
    if (inside.starts_with("env:")) inside.remove_prefix(4);
    const auto fallback = inside.find(":-");
    const std::string_view name = inside.substr(0, fallback);
    if (name.empty() || !name_start(name[0]) || !std::all_of(name.begin(), name.end(), name_char)) {
      out.error = "a variable is written ${NAME} or ${NAME:-default}, a dollar sign $$";
      return out;
    }
    out.had_variable = true;
    const auto value = environment ? environment(name) : std::nullopt;
    if (value && !value->empty()) {
      out.text.append(*value);
    } else if (fallback != std::string_view::npos) {
      out.text.append(inside.substr(fallback + 2));
    }
  }
  return out;
}

// Reads a document without keeping it.
class Skip : public YAML::EventHandler {
 public:
  YAML::Mark start;
  void OnDocumentStart(const YAML::Mark& mark) override { start = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnScalar(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string& /*value*/) override {}
  void OnSequenceStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {}
  void OnMapEnd() override {}
};

class Loader {
 public:
  explicit Loader(const ConfigSources& sources) : sources_(sources) {
    for (const Key& key : config::schema()) out_.origins[std::string(key.name)] = {};
  }

  void file(std::string_view yaml, const std::string& name) {
    file_ = name;
    try {
      const std::string text(yaml);
      std::istringstream in(text);
      YAML::Parser parser(in);
      Skip skip;
      if (!parser.HandleNextDocument(skip)) return;
      // Also what yaml-cpp cannot read at all and leaves where it is: YAML::LoadAll would ask for it forever.
      Skip more;
      if (parser.HandleNextDocument(more)) {
        return problem(at(more.start), "only one YAML document is allowed, and nothing behind it");
      }
      if (const YAML::Node root = YAML::Load(text); !root.IsNull()) section(root, "");
    } catch (const YAML::Exception& e) {
      problem(at(e.mark), e.msg);
    }
  }

  void environment() {
    if (!sources_.environment) return;
    for (const Key& key : config::schema()) {
      for (const std::string_view variable : key.environment) {
        const auto value = sources_.environment(variable);
        // The specification: set and empty is unset.
        if (!value || value->empty()) continue;
        const std::string why = try_line(with_known(key), *value, {Origin::Kind::kEnvironment, std::string(variable)});
        if (why.empty()) break;
        out_.warnings.push_back(std::string(variable) + ": " + (key.secret ? "malformed" : why) +
                                "; ignored. Allowed: " + config::allowed(key));
      }
    }
  }

  void overrides() {
    std::map<std::string, std::string, std::less<>> joined;
    for (const ConfigOverride& given : sources_.overrides) {
      const Key* key = config::find_key(given.key);
      if (key == nullptr) {
        problem(given.flag, "no such key: " + given.key);
        continue;
      }
      std::string& text = joined[given.key];
      if (!config::is_list(key->form) && !config::is_map(key->form)) text.clear();
      if (!text.empty()) text.push_back(',');
      text.append(given.text);
      const std::string why = try_line(with_known(*key), text, {Origin::Kind::kFlag, given.flag});
      if (!why.empty()) problem(given.flag, why + "; allowed: " + config::allowed(with_known(*key)));
    }
  }

  Result<LoadedConfig> finish() {
    // A complete endpoint from a weaker origin must not outlive a base endpoint from a stronger one.
    if (rank("export.otlp.endpoint") > rank("export.otlp.traces_endpoint")) {
      out_.config.exporting.otlp.traces_endpoint.clear();
      out_.origins["export.otlp.traces_endpoint"] = {};
    }
    const auto& otlp = out_.config.exporting.otlp;
    if (otlp.client_certificate.empty() != otlp.client_key.empty()) {
      const bool key_missing = otlp.client_key.empty();
      const std::string given = key_missing ? "export.otlp.client_certificate" : "export.otlp.client_key";
      problem(out_.origins[given].text(), given + ": a certificate and its key are needed together");
    }
    if (problems_.empty()) return std::move(out_);
    std::string all;
    for (const std::string& line : problems_) all += (all.empty() ? "" : "\n") + line;
    return Error{.what = std::move(all), .code = 0, .hint = "See docs/configuration.md."};
  }

 private:
  static int line_of(const YAML::Mark& mark) { return mark.is_null() ? 1 : mark.line + 1; }
  [[nodiscard]] std::string at(const YAML::Mark& mark) const { return file_ + ":" + std::to_string(line_of(mark)); }

  void problem(const std::string& where, const std::string& what) { problems_.push_back(where + ": " + what); }

  [[nodiscard]] int rank(std::string_view key) const { return static_cast<int>(out_.origins.find(key)->second.kind); }

  // What evidence there is, only main knows.
  [[nodiscard]] Key with_known(Key key) const {
    if (key.form == config::Form::kFlagMap) key.choices.assign(sources_.evidence.begin(), sources_.evidence.end());
    return key;
  }

  std::string try_line(const Key& key, std::string_view text, Origin origin) {
    Config changed = out_.config;
    std::string why = config::set_line(key, text, key.slot(changed));
    if (why.empty()) take(key, std::move(changed), std::move(origin));
    return why;
  }

  void take(const Key& key, Config changed, Origin origin) {
    out_.config = std::move(changed);
    out_.origins.find(key.name)->second = std::move(origin);
  }

  // The names that may stand in a section.
  static std::vector<std::string_view> names_in(std::string_view section) {
    std::vector<std::string_view> names;
    for (const Key& key : config::schema()) {
      std::string_view rest = key.name;
      if (!section.empty()) {
        if (!rest.starts_with(section) || rest.size() <= section.size() || rest[section.size()] != '.') continue;
        rest.remove_prefix(section.size() + 1);
      }
      rest = rest.substr(0, rest.find('.'));
      if (std::find(names.begin(), names.end(), rest) == names.end()) names.push_back(rest);
    }
    return names;
  }

  static std::string twice(const std::string& name) { return "\"" + name + "\" is here for the second time"; }

  static std::string unknown(const std::string& name, const std::string& prefix,
                             const std::vector<std::string_view>& names, const std::string& listed) {
    std::string text = "unknown key \"" + name + "\"";
    if (!prefix.empty()) text.append(" in ").append(prefix);
    if (const auto near = config::nearest(name, names)) text.append("; did you mean \"").append(*near).append("\"?");
    return text.append(" Allowed: ").append(listed);
  }

  void section(const YAML::Node& node, const std::string& prefix) {
    const std::string title = prefix.empty() ? "the file" : prefix;
    const auto names = names_in(prefix);
    std::string listed;
    for (const std::string_view name : names) listed += (listed.empty() ? "" : ", ") + std::string(name);
    if (node.IsNull()) return;
    if (!node.IsMap()) return problem(at(node.Mark()), title + " must be a map; allowed in it: " + listed);
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string where = at(entry.first.Mark());
      if (!entry.first.IsScalar()) {
        problem(where, std::string("a name must be text; allowed in ").append(title).append(": ").append(listed));
        continue;
      }
      const std::string& name = entry.first.Scalar();
      if (!seen.insert(name).second) {
        problem(where, twice(name));
        continue;
      }
      std::string full = prefix;
      if (!full.empty()) full.push_back('.');
      full.append(name);
      const bool dotted = name.find('.') != std::string::npos;
      if (const Key* key = dotted ? nullptr : config::find_key(full)) {
        value(with_known(*key), entry.second, where);
      } else if (!dotted && !names_in(full).empty()) {
        section(entry.second, full);
      } else {
        problem(where, unknown(name, prefix, names, listed));
      }
    }
  }

  void value(const Key& key, const YAML::Node& node, const std::string& where) {
    if (node.IsNull()) return;
    Config changed = out_.config;
    const config::Slot slot = key.slot(changed);
    const std::size_t before = problems_.size();
    bool unset = false;
    if (node.IsScalar()) {
      unset = scalar(key, node, [&](std::string_view text) { return config::set_scalar(key, text, slot); });
    } else if (node.IsSequence() && config::is_list(key.form)) {
      config::clear(slot);
      for (const YAML::Node& element : node) {
        scalar(key, element, [&](std::string_view text) { return config::add_element(key, text, slot); });
      }
    } else if (node.IsMap() && config::is_map(key.form)) {
      config::clear(slot);
      std::set<std::string> seen;
      for (const auto& entry : node) {
        const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : std::string();
        if (!seen.insert(name).second) problem(at(entry.first.Mark()), twice(name));
        scalar(key, entry.second, [&](std::string_view text) { return config::add_entry(key, name, text, slot); });
      }
    } else {
      wrong(where, key, std::string("a ") + (node.IsMap() ? "map" : "list") + " cannot stand here");
    }
    if (!unset && problems_.size() == before) take(key, std::move(changed), {Origin::Kind::kFile, where});
  }

  // True when a variable made the value empty: then it is as if it were not there.
  template <class Set>
  bool scalar(const Key& key, const YAML::Node& node, Set&& set) {
    const std::string where = at(node.Mark());
    if (!node.IsScalar()) {
      wrong(where, key, node.IsNull() ? "a value is missing" : "a text or number is needed");
      return false;
    }
    const Expanded expanded = expand(node.Scalar(), sources_.environment);
    if (!expanded.error.empty()) {
      problem(where, std::string(key.name) + ": " + expanded.error);
      return false;
    }
    if (expanded.had_variable && expanded.text.empty()) return true;
    const std::string why = set(expanded.text);
    if (!why.empty()) wrong(where, key, key.secret ? "malformed" : why);
    return false;
  }

  void wrong(const std::string& where, const Key& key, const std::string& why) {
    problem(where, std::string(key.name) + ": " + why + "; allowed: " + config::allowed(key));
  }

  const ConfigSources& sources_;
  LoadedConfig out_;
  std::string file_;
  Texts problems_;
};

Result<LoadedConfig> load(const ConfigSources& sources, const std::string* yaml, const std::string& name) {
  Loader loader(sources);
  if (yaml != nullptr) loader.file(*yaml, name);
  loader.environment();
  loader.overrides();
  return loader.finish();
}

}  // namespace

Result<LoadedConfig> load_config_text(std::string_view yaml, const std::string& name, const ConfigSources& sources) {
  const std::string text(yaml);
  return load(sources, &text, name);
}

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  if (sources.file.empty()) return load(sources, nullptr, "");
  std::ifstream in(sources.file, std::ios::binary);
  if (!in) return errno_error("open " + sources.file);
  std::string text(kLargestFile + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return errno_error("read " + sources.file);
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kLargestFile) return Error{.what = sources.file + ": larger than 1 MiB", .code = 0, .hint = ""};
  return load(sources, &text, sources.file);
}

}  // namespace wirespan
