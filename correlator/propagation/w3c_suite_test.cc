// The header cases of the W3C Trace Context test suite (github.com/w3c/trace-context, test/test.py, STRICT_LEVEL 2),
// each under its name there. The suite asks a service to propagate; we only read, so "a newly generated trace_id" is no
// context, "the same trace_id" is that context, and what tracestate must hold is what we would hand on. The three
// AdvancedTest cases are about calls made by a service: their header part is here, the rest in
// tests/e2e/context_test.py.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "correlator/propagation/propagation.h"

namespace wirespan {
namespace {

constexpr std::string_view kNone;  // the trace is restarted
constexpr std::string_view kTrace12 = "12345678901234567890123456789012";

struct Case {
  std::string_view name;
  CarriedHeaders headers;
  std::string_view trace;
  std::string state;  // expected trace_state
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
  for (const auto& [name, value] : c.headers) *out << "\n  " << name << ": " << value;
}

std::string repeat(char c, std::size_t count) {
  return std::string(count, c);
}

std::string range(char first, char last) {
  std::string out;
  for (char c = first; c <= last; ++c) out.push_back(c);
  return out;
}

// 'bar01=01,...' up to and including `last`.
std::string bars(int first, int last) {
  std::string out;
  for (int i = first; i <= last; ++i) {
    const std::string number = (i < 10 ? "0" : "") + std::to_string(i);
    out += (out.empty() ? "bar" : ",bar") + number + "=" + number;
  }
  return out;
}

Case parent(std::string_view name, std::string value, std::string_view trace) {
  return {name, {{"traceparent", std::move(value)}}, trace, ""};
}

Case state(std::string_view name, const std::vector<std::string>& values, std::string expected,
           const std::string& header = "tracestate") {
  Case c{name, {{"traceparent", "00-12345678901234567890123456789012-1234567890123456-00"}}, kTrace12, {}};
  for (const std::string& value : values) c.headers.emplace_back(header, value);
  c.state = std::move(expected);
  return c;
}

std::vector<Case> traceparent_cases() {
  const std::string good = "00-12345678901234567890123456789012-1234567890123456-01";
  const std::string rest = "-12345678901234567890123456789012-1234567890123456-01";
  const std::string head = "00-12345678901234567890123456789012-";
  const std::string ids = head + "1234567890123456-";
  const std::string future = "-what-the-future-will-be-like";
  return {
      {"test_both_traceparent_and_tracestate_missing", {}, kNone, ""},
      parent("test_traceparent_included_tracestate_missing", good, kTrace12),
      {"test_traceparent_duplicated",
       {{"traceparent", "00-12345678901234567890123456789011-1234567890123456-01"}, {"traceparent", good}},
       kNone,
       ""},
      {"test_traceparent_header_name", {{"trace-parent", good}}, kNone, ""},
      {"test_traceparent_header_name", {{"trace.parent", good}}, kNone, ""},
      {"test_traceparent_header_name_valid_casing", {{"TraceParent", good}}, kTrace12, ""},
      {"test_traceparent_header_name_valid_casing", {{"TrAcEpArEnT", good}}, kTrace12, ""},
      {"test_traceparent_header_name_valid_casing", {{"TRACEPARENT", good}}, kTrace12, ""},
      parent("test_traceparent_version_0x00", good + ".", kNone),
      parent("test_traceparent_version_0x00", good + future, kNone),
      parent("test_traceparent_version_0xcc", "cc" + rest, kTrace12),
      parent("test_traceparent_version_0xcc", "cc" + rest + future, kTrace12),
      parent("test_traceparent_version_0xcc", "cc" + rest + ".what-the-future-will-be-like", kNone),
      parent("test_traceparent_version_0xff", "ff" + rest, kNone),
      parent("test_traceparent_version_illegal_characters", ".0" + rest, kNone),
      parent("test_traceparent_version_illegal_characters", "0." + rest, kNone),
      parent("test_traceparent_version_too_long", "000" + rest, kNone),
      parent("test_traceparent_version_too_long", "0000" + rest, kNone),
      parent("test_traceparent_version_too_short", "0" + rest, kNone),
      parent("test_traceparent_trace_id_all_zero", "00-00000000000000000000000000000000-1234567890123456-01", kNone),
      parent("test_traceparent_trace_id_illegal_characters", "00-.2345678901234567890123456789012-1234567890123456-01",
             kNone),
      parent("test_traceparent_trace_id_illegal_characters", "00-1234567890123456789012345678901.-1234567890123456-01",
             kNone),
      parent("test_traceparent_trace_id_too_long", "00-123456789012345678901234567890123-1234567890123456-01", kNone),
      parent("test_traceparent_trace_id_too_short", "00-1234567890123456789012345678901-1234567890123456-01", kNone),
      parent("test_traceparent_parent_id_all_zero", head + "0000000000000000-01", kNone),
      parent("test_traceparent_parent_id_illegal_characters", head + ".234567890123456-01", kNone),
      parent("test_traceparent_parent_id_illegal_characters", head + "123456789012345.-01", kNone),
      parent("test_traceparent_parent_id_too_long", head + "12345678901234567-01", kNone),
      parent("test_traceparent_parent_id_too_short", head + "123456789012345-01", kNone),
      parent("test_traceparent_trace_flags_illegal_characters", ids + ".0", kNone),
      parent("test_traceparent_trace_flags_illegal_characters", ids + "0.", kNone),
      parent("test_traceparent_trace_flags_too_long", ids + "001", kNone),
      parent("test_traceparent_trace_flags_too_short", ids + "1", kNone),
      parent("test_traceparent_ows_handling", " " + good, kTrace12),
      parent("test_traceparent_ows_handling", "\t" + good, kTrace12),
      parent("test_traceparent_ows_handling", good + " ", kTrace12),
      parent("test_traceparent_ows_handling", good + "\t", kTrace12),
      parent("test_traceparent_ows_handling", "\t " + good + " \t", kTrace12),
      parent("test_multiple_requests_with_valid_traceparent", good, kTrace12),
      {"test_multiple_requests_without_traceparent", {}, kNone, ""},
      parent("test_multiple_requests_with_illegal_traceparent",
             "00-00000000000000000000000000000000-1234567890123456-01", kNone),
  };
}

std::vector<Case> tracestate_cases() {
  const std::string key = range('a', 'z') + "0123456789_-*/";
  const std::string value = range(0x20, 0x2b) + range(0x2d, 0x3c) + range(0x3e, 0x7e);
  const std::vector<std::string> twenty_to_thirty = {bars(1, 10), bars(11, 20), bars(21, 30)};
  auto members32 = twenty_to_thirty;
  members32.push_back(bars(31, 32));
  auto members33 = twenty_to_thirty;
  members33.push_back(bars(31, 33));
  return {
      {"test_tracestate_included_traceparent_missing", {{"tracestate", "foo=1"}}, kNone, ""},
      {"test_tracestate_included_traceparent_missing", {{"tracestate", "foo=1,bar=2"}}, kNone, ""},
      state("test_tracestate_included_traceparent_included", {"foo=1,bar=2"}, "foo=1,bar=2"),
      state("test_tracestate_header_name", {"foo=1"}, "", "trace-state"),
      state("test_tracestate_header_name", {"foo=1"}, "", "trace.state"),
      state("test_tracestate_header_name_valid_casing", {"foo=1"}, "foo=1", "TraceState"),
      state("test_tracestate_header_name_valid_casing", {"foo=1"}, "foo=1", "TrAcEsTaTe"),
      state("test_tracestate_header_name_valid_casing", {"foo=1"}, "foo=1", "TRACESTATE"),
      state("test_tracestate_empty_header", {""}, ""),
      state("test_tracestate_empty_header", {"foo=1", ""}, "foo=1"),
      state("test_tracestate_empty_header", {"", "foo=1"}, "foo=1"),
      state("test_tracestate_multiple_headers_different_keys", {"foo=1,bar=2", "rojo=1,congo=2", "baz=3"},
            "foo=1,bar=2,rojo=1,congo=2,baz=3"),
      state("test_tracestate_duplicated_keys", {"foo=1,foo=1"}, ""),
      state("test_tracestate_duplicated_keys", {"foo=1,foo=2"}, ""),
      state("test_tracestate_duplicated_keys", {"foo=1", "foo=1"}, ""),
      state("test_tracestate_duplicated_keys", {"foo=1", "foo=2"}, ""),
      state("test_tracestate_all_allowed_characters", {key + "=" + value}, key + "=" + value),
      state("test_tracestate_all_allowed_characters", {key + "@a-z0-9_-*/=" + value}, key + "@a-z0-9_-*/=" + value),
      state("test_tracestate_ows_handling", {"foo=1 \t , \t bar=2, \t baz=3"}, "foo=1,bar=2,baz=3"),
      state("test_tracestate_ows_handling", {"foo=1\t \t,\t \tbar=2,\t \tbaz=3"}, "foo=1,bar=2,baz=3"),
      state("test_tracestate_ows_handling", {" foo=1"}, "foo=1"),
      state("test_tracestate_ows_handling", {"\tfoo=1"}, "foo=1"),
      state("test_tracestate_ows_handling", {"foo=1 "}, "foo=1"),
      state("test_tracestate_ows_handling", {"foo=1\t"}, "foo=1"),
      state("test_tracestate_ows_handling", {"\t foo=1 \t"}, "foo=1"),
      state("test_tracestate_key_illegal_characters", {"foo =1"}, ""),
      state("test_tracestate_key_illegal_characters", {"FOO=1"}, ""),
      state("test_tracestate_key_illegal_characters", {"foo.bar=1"}, ""),
      state("test_tracestate_key_illegal_vendor_format", {"foo@=1,bar=2"}, ""),
      state("test_tracestate_key_illegal_vendor_format", {"@foo=1,bar=2"}, ""),
      state("test_tracestate_key_illegal_vendor_format", {"foo@@bar=1,bar=2"}, ""),
      state("test_tracestate_key_illegal_vendor_format", {"foo@bar@baz=1,bar=2"}, ""),
      state("test_tracestate_member_count_limit", members32, bars(1, 32)),
      state("test_tracestate_member_count_limit", members33, ""),
      state("test_tracestate_key_length_limit", {"foo=1", repeat('z', 256) + "=1"}, "foo=1," + repeat('z', 256) + "=1"),
      state("test_tracestate_key_length_limit", {"foo=1", repeat('z', 257) + "=1"}, ""),
      state("test_tracestate_key_length_limit", {"foo=1", repeat('t', 241) + "@" + repeat('v', 14) + "=1"},
            "foo=1," + repeat('t', 241) + "@" + repeat('v', 14) + "=1"),
      state("test_tracestate_key_length_limit", {"foo=1", repeat('t', 242) + "@v=1"}, ""),
      state("test_tracestate_key_length_limit", {"foo=1", "t@" + repeat('v', 15) + "=1"}, ""),
      state("test_tracestate_value_illegal_characters", {"foo=bar=baz"}, ""),
      state("test_tracestate_value_illegal_characters", {"foo=,bar=3"}, ""),
  };
}

class W3cSuite : public testing::TestWithParam<Case> {};

TEST_P(W3cSuite, Header) {
  const Case& c = GetParam();
  const auto context = extract(c.headers);
  if (c.trace.empty()) {
    EXPECT_FALSE(context);
    return;
  }
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace.hex(), c.trace);
  EXPECT_EQ(context->span.hex(), "1234567890123456");
  EXPECT_EQ(context->trace_state, c.state);
  EXPECT_EQ(context->format, "traceparent");
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.name) + "_" + std::to_string(info.index);
}
INSTANTIATE_TEST_SUITE_P(Traceparent, W3cSuite, testing::ValuesIn(traceparent_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Tracestate, W3cSuite, testing::ValuesIn(tracestate_cases()), name_of);

}  // namespace
}  // namespace wirespan
