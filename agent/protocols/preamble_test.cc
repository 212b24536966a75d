#include "agent/protocols/preamble.h"

#include <gtest/gtest.h>

#include <string>

namespace wirespan::protocols {
namespace {

TEST(Preamble, Version1EndsWithItsLine) {
  const std::string text = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET / HTTP/1.1\r\n";
  EXPECT_EQ(proxy_preamble(as_bytes(text)).bytes, text.find("GET"));
  for (std::size_t size = 0; size < text.find("GET"); ++size) {
    const Preamble part = proxy_preamble(as_bytes(std::string_view(text).substr(0, size)));
    EXPECT_EQ(part.bytes, 0U);
    EXPECT_TRUE(part.partial) << size;
  }
}

TEST(Preamble, Version2EndsWithItsLength) {
  std::string text("\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", 16);
  text += "0123456789ab";
  EXPECT_EQ(proxy_preamble(as_bytes(text + "GET")).bytes, 28U);
  EXPECT_TRUE(proxy_preamble(as_bytes(text.substr(0, 20))).partial);
  text[12] = 0x11;
  EXPECT_EQ(proxy_preamble(as_bytes(text)).bytes, 0U);
}

TEST(Preamble, NothingElseIsOne) {
  for (const std::string& text : {std::string("GET / HTTP/1.1\r\n"), std::string("\r\n\r\nGET / "),
                                  std::string("PROXXY "), "PROXY " + std::string(200, 'x')}) {
    const Preamble none = proxy_preamble(as_bytes(text));
    EXPECT_EQ(none.bytes, 0U) << text;
    EXPECT_FALSE(none.partial) << text;
  }
}

}  // namespace
}  // namespace wirespan::protocols
