#include "model/recycle.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "model/message.h"

namespace wirespan {
namespace {

TEST(Recycle, ReusedMessageLooksNew) {
  {
    const MessagePtr m = make_recycled<Message>();
    m->name = "GET /";
    m->attributes.set("http.request.method", "GET");
    m->carried.emplace_back("traceparent", "00-");
    m->rare_values.push_back(7);
    m->interim = true;
    m->incomplete = "head";
    m->conn = std::make_shared<Connection>();
  }
  const MessagePtr m = make_recycled<Message>();
  EXPECT_TRUE(m->name.empty());
  EXPECT_TRUE(m->attributes.empty());
  EXPECT_TRUE(m->carried.empty());
  EXPECT_TRUE(m->rare_values.empty());
  EXPECT_TRUE(m->incomplete.empty());
  EXPECT_FALSE(m->interim);
  EXPECT_TRUE(m->expects_response);
  EXPECT_EQ(m->conn, nullptr);
}

TEST(Recycle, ReleasedOnAnotherThreadAndAfterItsEnd) {
  std::vector<MessagePtr> kept;
  std::thread([&] {
    for (int i = 0; i < 3; ++i) kept.push_back(make_recycled<Message>());
  }).join();
  std::thread([moved = std::move(kept)]() mutable { moved.clear(); }).join();
}

TEST(Recycle, KeepsNoHugeBuffer) {
  Attributes attributes;
  attributes.set("k", std::string(1U << 20U, 'x'));
  attributes.clear();
  EXPECT_TRUE(attributes.empty());
  attributes.set("k", "v");
  EXPECT_EQ(attributes.text("k"), "v");
}

}  // namespace
}  // namespace wirespan
