#include "agent/protocols/fastcgi/record.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace wirespan::fastcgi {
namespace {

using namespace std::string_literals;

const std::string kBegin = "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00"s;
const std::string kParams = "\x01\x04\x00\x01\x00\x04\x00\x00"s;

TEST(FastCgiRecord, HeadersSayWhereTheyMayGo) {
  const auto h = header(as_bytes("\x01\x06\x01\x02\x03\x04\x05\x00"s));
  ASSERT_TRUE(h);
  EXPECT_EQ(h->type, Type::kStdout);
  EXPECT_EQ(h->id, 0x102);
  EXPECT_EQ(h->content, 0x304);
  EXPECT_EQ(h->padding, 5);
  EXPECT_TRUE(h->from_application());
  EXPECT_FALSE(h->from_server());
  EXPECT_FALSE(header(as_bytes("\x02\x06\x00\x01\x00\x00\x00\x00"s)));
  EXPECT_FALSE(header(as_bytes("\x01\x06\x00\x01\x00\x00\x00"s)));
  // An id is of requests, none is of the connection.
  EXPECT_FALSE(header(as_bytes("\x01\x06\x00\x00\x00\x00\x00\x00"s))->from_application());
  EXPECT_FALSE(header(as_bytes("\x01\x09\x00\x01\x00\x00\x00\x00"s))->from_server());
}

TEST(FastCgiRecord, ARequestBeginsWithFieldsOfTheSpecification) {
  EXPECT_EQ(begins_request(as_bytes(kBegin), false).beginning, Beginning::kYes);
  for (std::size_t size = 0; size < kBegin.size(); ++size) {
    EXPECT_EQ(begins_request(as_bytes(kBegin.substr(0, size)), false).beginning, Beginning::kPartial) << size;
  }
  for (const std::size_t at : {0U, 1U, 5U, 9U, 10U, 13U}) {
    std::string other = kBegin;
    other[at] = '\x7f';
    EXPECT_EQ(begins_request(as_bytes(other), false).beginning, Beginning::kNo) << at;
  }
  EXPECT_EQ(begins_request(as_bytes("GET / HTTP/1.1\r\n"), false).beginning, Beginning::kNo);
}

TEST(FastCgiRecord, WhereItIsNotSureTheNextRecordMustFit) {
  EXPECT_EQ(begins_request(as_bytes(kBegin), true).beginning, Beginning::kPartial);
  EXPECT_EQ(begins_request(as_bytes(kBegin + kParams), true).beginning, Beginning::kYes);
  EXPECT_EQ(begins_request(as_bytes(kBegin + "\x01\x04\x00\x02\x00\x04\x00\x00"s), true).beginning, Beginning::kNo);
  EXPECT_EQ(begins_request(as_bytes(kBegin + "abcdefgh"), true).beginning, Beginning::kNo);
}

TEST(FastCgiRecord, WhatTheApplicationLeftUnreadStandsBefore) {
  const std::string left = "\x01\x05\x00\x01\x00\x00\x00\x00"s;
  const Began began = begins_request(as_bytes(left + kBegin), false);
  EXPECT_EQ(began.beginning, Beginning::kYes);
  EXPECT_EQ(began.before, 8U);
  EXPECT_EQ(begins_request(as_bytes(left), false).beginning, Beginning::kPartial);
  EXPECT_EQ(begins_request(as_bytes("\x01\x05\x00\x01\x00\x03\x00\x00"
                                    "abc"s +
                                    kBegin),
                           false)
                .beginning,
            Beginning::kNo);
}

TEST(FastCgiRecord, EndRecordsAreWhole) {
  const std::string end = "\x01\x03\x00\x07\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"s;
  EXPECT_EQ(end_record(as_bytes(end)), 7);
  EXPECT_FALSE(end_record(as_bytes(end.substr(1))));
  std::string other = end;
  other[12] = '\x09';
  EXPECT_FALSE(end_record(as_bytes(other)));
}

// A result and what its text may point into.
struct Tried : Joined {
  std::string input;
  std::string scratch;
};

std::unique_ptr<Tried> joined(std::string bytes, std::uint16_t content) {
  auto tried = std::make_unique<Tried>();
  tried->input = std::move(bytes);
  static_cast<Joined&>(*tried) = join(as_bytes(tried->input), Header{Type::kParams, 1, content, 1}, tried->scratch);
  return tried;
}

TEST(FastCgiRecord, StreamsAreJoined) {
  const std::string next = "\x01\x04\x00\x01\x00\x02\x00\x00"s;
  const std::string last = "\x01\x04\x00\x01\x00\x00\x00\x00"s;
  auto j = joined("abc_" + last, 3);
  EXPECT_EQ(j->end, Joined::End::kEnded);
  EXPECT_EQ(j->text, "abc");
  EXPECT_EQ(j->bytes, 12U);
  j = joined("abc_" + next + "de" + last, 3);
  EXPECT_EQ(j->end, Joined::End::kEnded);
  EXPECT_EQ(j->text, "abcde");
  j = joined("abc_" + next + "d", 3);
  EXPECT_EQ(j->end, Joined::End::kOpen);
  EXPECT_EQ(j->text, "abcd");
  EXPECT_EQ(j->left, 1U);
  j = joined("ab", 3);
  EXPECT_EQ(j->end, Joined::End::kOpen);
  EXPECT_EQ(j->left, 1U);
  EXPECT_EQ(j->padding, 1U);
  j = joined("abc_\x01\x05\x00\x01\x00\x00\x00\x00"s, 3);
  EXPECT_EQ(j->end, Joined::End::kInterrupted);
  EXPECT_EQ(j->bytes, 4U);
}

}  // namespace
}  // namespace wirespan::fastcgi
