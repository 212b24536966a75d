// The last look at a span before it leaves the process: secrets and personal data in its attributes are replaced by
// "REDACTED", the word the semantic conventions use for url.*.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/enrich/secret_text.h"
#include "base/counters.h"
#include "model/attributes.h"
#include "model/span.h"

namespace wirespan {

inline constexpr std::string_view kRedacted = "REDACTED";

struct RedactionRules {
  enum class Query : std::uint8_t {
    kAll,      // the values of all parameters, except those in query_keep
    kSecrets,  // those whose name says that they are secret, and secrets found by their form
    kNone,     // secrets found by their form only
  };
  bool enabled = true;  // false: nothing below is done, not even for credentials
  SecretKinds kinds = {};
  Query query = Query::kAll;
  std::set<std::string, std::less<>> query_keep = {};
  // Header names, lower case, exported although they carry credentials. Everything else that looks like one
  // (authorization, cookies, api keys, tokens) is replaced even where it was asked for.
  std::set<std::string, std::less<>> forced_headers = {};
  std::set<std::string, std::less<>> keys = {};  // attributes whose value is always replaced
};

// Replaces every secret in `text` by its form. True when there was one.
bool redact_text(std::string& text, const SecretKinds& kinds = {});

// Whether the name of a header, parameter or field says that its value is a credential.
[[nodiscard]] bool names_a_secret(std::string_view name);

// One thread.
class Redactor {
 public:
  Redactor(RedactionRules rules, Counters& counters);

  void set_rules(RedactionRules rules) {
    rules_ = std::move(rules);
    clean_names_ = {};
  }
  // Name, status message, attributes, and attributes of links.
  void apply(Span& span);
  // True when anything was replaced.
  bool apply(Attributes& attributes);

 private:
  [[nodiscard]] bool exempt(std::string_view key) const;
  // The same for keys written in the source, when no rule names keys: remembered by their address.
  [[nodiscard]] bool known_harmless(std::string_view literal);
  // What the value must become; false: it stays.
  bool replacement(std::string_view key, std::string_view value, std::string& out) const;
  [[nodiscard]] bool query_needs(std::string_view query) const;
  void redact_query(std::string_view query, std::string& out) const;
  bool redact_url(std::string_view url, std::string& out) const;

  struct KnownKey {
    const char* literal = nullptr;
    bool harmless = false;
  };

  RedactionRules rules_;
  std::array<KnownKey, 128> known_keys_{};
  std::array<std::string, 64> clean_names_{};  // by length: names in which nothing was found; they come again and again
  Attributes rebuilt_;
  std::string value_;
  Counter& redacted_;
};

}  // namespace wirespan
