#include "agent/protocols/common/route.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace wirespan::protocols {
namespace {

std::string route(std::string_view path) {
  std::string out;
  append_route(out, path);
  return out;
}

TEST(Route, ValuesBecomePlaceholders) {
  const std::pair<const char*, const char*> cases[] = {
      {"/", "/"},
      {"", "/"},
      {"/users", "/users"},
      {"/users/", "/users/"},
      {"/users/42", "/users/{id}"},
      {"/users/42/orders/7", "/users/{id}/orders/{id}"},
      {"/api/v2/oauth2/token", "/api/v2/oauth2/token"},
      {"/o/5f2c9b1e-7c1d-4a53-9c7e-0f5d2a9c1b11", "/o/{id}"},
      {"/blobs/3f2a9c1bdd", "/blobs/{id}"},
      {"/day/2026-01-02/report", "/day/{date}/report"},
      {"/u/user-12345", "/u/{id}"},
      {"/u/anna@example.org", "/u/{id}"},
      {"/@scope/package", "/@scope/package"},
      {"/search/hello%20world", "/search/{value}"},
      {"/caf\xc3\xa9", "/{value}"},
      {"/img/12345.png", "/img/{id}.png"},
      {"/static/main.3f2a9c1b.chunk.js", "/static/main.{id}.chunk.js"},
      {"/lib/jquery-3.6.0.min.js", "/lib/jquery-3.6.0.min.js"},
      {"/download/1.2.3", "/download/1.2.3"},
      {"/cart;jsessionid=ABCDEF0123456789/pay", "/cart/pay"},
      {"//double///slash", "/double/slash"},
      {"/.well-known/openid-configuration", "/.well-known/openid-configuration"},
  };
  for (const auto& [path, expected] : cases) EXPECT_EQ(route(path), expected) << path;
}

TEST(Route, IsBounded) {
  std::string path;
  for (int i = 0; i < 1000; ++i) path += "/a";
  EXPECT_EQ(route(path), "/a/a/a/a/a/a/a/a/a/a/a/a/*");
  EXPECT_EQ(route("/" + std::string(5000, 'x')), "/{value}");
  EXPECT_EQ(route(std::string(5000, '/')), "/");
}

}  // namespace
}  // namespace wirespan::protocols
