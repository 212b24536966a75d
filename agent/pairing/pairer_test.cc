#include "agent/pairing/pairer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/recycle.h"

namespace wirespan {
namespace {

class Log : public Sink<ExchangeItem> {
 public:
  void accept(const ExchangeItem& item) override {
    if (const auto* finished = std::get_if<ExchangeFinished>(&item)) done.push_back(finished->exchange);
    if (std::holds_alternative<ExchangeOpened>(item)) ++opened;
    if (const auto* touched = std::get_if<ExchangeTouched>(&item)) firsts += touched->first ? 1 : 0;
  }
  std::vector<ExchangePtr> done;
  int opened = 0;
  int firsts = 0;
};

class PairerTest : public testing::Test {
 protected:
  ConnectionPtr connection(std::uint64_t id) {
    auto c = std::make_shared<Connection>();
    c->id = ConnId{id};
    c->received_base = 0xfffffff0U;
    c->sent_base = 500;
    c->has_base = true;
    return c;
  }
  MessagePtr message(const ConnectionPtr& c, MessageKind kind, std::uint64_t position, std::uint64_t time,
                     std::uint64_t stream = 0) {
    MessagePtr m = make_recycled<Message>();
    m->kind = kind;
    m->conn = c;
    m->direction = kind == MessageKind::kRequest ? Direction::kReceived : Direction::kSent;
    m->position = position;
    m->stream = stream;
    m->first_byte.time = m->last_byte.time = {time};
    return m;
  }
  MessagePtr request(const ConnectionPtr& c, std::uint64_t position, std::uint64_t time, std::uint64_t stream = 0) {
    MessagePtr m = message(c, MessageKind::kRequest, position, time, stream);
    pairer.accept(MessageBegan{m});
    pairer.accept(MessageEnded{m});
    return m;
  }
  MessagePtr response(const ConnectionPtr& c, std::uint64_t time, std::uint64_t stream = 0) {
    MessagePtr m = message(c, MessageKind::kResponse, 0, time, stream);
    pairer.accept(MessageBegan{m});
    pairer.accept(MessageEnded{m});
    return m;
  }

  Counters counters;
  Log log;
  Pairer pairer{log, counters, {.max_open = 4, .max_waiting_per_connection = 8, .max_waiting = 100}};
  ConnectionPtr conn = connection(1);
};

TEST_F(PairerTest, AnswersInOrderOfRequests) {
  const auto a = request(conn, 0, 10);
  const auto b = request(conn, 100, 20);
  const auto ra = response(conn, 30);
  const auto rb = response(conn, 40);
  ASSERT_EQ(log.done.size(), 2U);
  EXPECT_EQ(log.done[0]->request, a);
  EXPECT_EQ(log.done[0]->response, ra);
  EXPECT_EQ(log.done[1]->request, b);
  EXPECT_EQ(log.done[1]->response, rb);
  EXPECT_EQ(log.done[1]->ended.ns, 40U);
  EXPECT_LT(log.done[0]->number, log.done[1]->number);
  EXPECT_EQ(pairer.open(), 0U);
}

TEST_F(PairerTest, KeyWrapsLikeSequenceNumbersAndIsTheSameAtBothEnds) {
  request(conn, 0x20, 10);
  response(conn, 20);
  ASSERT_EQ(log.done.size(), 1U);
  EXPECT_EQ(log.done[0]->key.a, 0x10U);
  EXPECT_EQ(log.done[0]->key.r, 500U);
  EXPECT_EQ(log.done[0]->role, SpanRole::kServer);

  auto other_end = std::make_shared<Connection>(*conn);
  std::swap(other_end->received_base, other_end->sent_base);
  MessagePtr sent = message(other_end, MessageKind::kRequest, 0x20, 5);
  sent->direction = Direction::kSent;
  EXPECT_EQ(exchange_key(*sent), log.done[0]->key);
}

TEST_F(PairerTest, StreamsAreIndependent) {
  const auto a = request(conn, 0, 10, 1);
  const auto b = request(conn, 50, 20, 3);
  const auto rb = response(conn, 30, 3);
  const auto ra = response(conn, 40, 1);
  ASSERT_EQ(log.done.size(), 2U);
  EXPECT_EQ(log.done[0]->request, b);
  EXPECT_EQ(log.done[0]->response, rb);
  EXPECT_EQ(log.done[1]->request, a);
  EXPECT_EQ(log.done[1]->response, ra);
  EXPECT_EQ(log.done[0]->key.stream, 3U);
}

TEST_F(PairerTest, ResponseWithoutRequestIsSaid) {
  response(conn, 30);
  ASSERT_EQ(log.done.size(), 1U);
  EXPECT_EQ(log.done[0]->request->incomplete, "head");
  EXPECT_EQ(log.done[0]->incomplete, "lost");
  EXPECT_FALSE(log.done[0]->key.valid());
}

TEST_F(PairerTest, InterimResponseDoesNotAnswer) {
  request(conn, 0, 10);
  const MessagePtr interim = message(conn, MessageKind::kResponse, 0, 20);
  interim->interim = true;
  pairer.accept(MessageBegan{interim});
  pairer.accept(MessageEnded{interim});
  EXPECT_EQ(log.firsts, 0);
  const auto final_response = response(conn, 30);
  ASSERT_EQ(log.done.size(), 1U);
  EXPECT_EQ(log.done[0]->response, final_response);
  EXPECT_EQ(log.firsts, 1);
}

TEST_F(PairerTest, EarlyResponseWaitsForTheRequestsEnd) {
  const MessagePtr asked = message(conn, MessageKind::kRequest, 0, 10);
  pairer.accept(MessageBegan{asked});
  const auto answer = response(conn, 20);
  EXPECT_TRUE(log.done.empty());
  pairer.accept(MessageEnded{asked});
  ASSERT_EQ(log.done.size(), 1U);
  EXPECT_EQ(log.done[0]->response, answer);
  EXPECT_EQ(log.done[0]->ended.ns, 20U);
}

TEST_F(PairerTest, EndsOfConversationsSayWhy) {
  using How = ConversationEnded::How;
  const auto finish = [&](How how, bool answered) {
    const ConnectionPtr c = connection(77);
    request(c, 0, 10);
    if (answered) {
      const MessagePtr half = message(c, MessageKind::kResponse, 0, 20);
      pairer.accept(MessageBegan{half});
    }
    pairer.accept(ConversationEnded{c, {50}, how});
    const std::string why(log.done.back()->incomplete);
    EXPECT_EQ(log.done.back()->ended.ns, 50U);
    return why;
  };
  EXPECT_EQ(finish(How::kClosed, false), "no_response");
  EXPECT_EQ(finish(How::kClosed, true), "connection_closed");
  EXPECT_EQ(finish(How::kReset, false), "connection_reset");
  EXPECT_EQ(finish(How::kForgotten, false), "lost");
  EXPECT_EQ(finish(How::kLost, true), "lost");
  EXPECT_EQ(finish(How::kHandedOver, true), "");
  EXPECT_EQ(pairer.open(), 0U);
}

TEST_F(PairerTest, OneWayMessageNeedsNoAnswer) {
  const MessagePtr note = message(conn, MessageKind::kRequest, 0, 10);
  note->expects_response = false;
  pairer.accept(MessageBegan{note});
  pairer.accept(MessageEnded{note});
  ASSERT_EQ(log.done.size(), 1U);
  EXPECT_EQ(log.done[0]->incomplete, "");
  EXPECT_EQ(log.done[0]->response, nullptr);
}

TEST_F(PairerTest, OldestGivesWayAndItsAnswerIsNotTakenForAnother) {
  const ConnectionPtr slow = connection(2);
  const auto first = request(slow, 0, 1);
  const auto second = request(slow, 10, 2);
  for (std::uint64_t i = 0; i < 3; ++i) request(connection(10 + i), 0, 10 + i);
  ASSERT_EQ(log.done.size(), 1U);
  EXPECT_EQ(log.done[0]->request, first);
  EXPECT_EQ(log.done[0]->incomplete, "lost");
  EXPECT_EQ(pairer.open(), 4U);
  response(slow, 20);  // to the one given up
  EXPECT_EQ(log.done.size(), 1U);
  const auto answer = response(slow, 30);
  ASSERT_EQ(log.done.size(), 2U);
  EXPECT_EQ(log.done[1]->request, second);
  EXPECT_EQ(log.done[1]->response, answer);
}

TEST_F(PairerTest, ConnectionThatNeverAnswersIsGivenUp) {
  for (std::uint64_t i = 0; i < 50; ++i) request(conn, i, i);
  EXPECT_EQ(pairer.open(), 0U);
  EXPECT_EQ(log.done.size(), 8U);
  pairer.accept(ConversationEnded{conn, {100}, ConversationEnded::How::kClosed});
  request(conn, 0, 200);
  EXPECT_EQ(pairer.open(), 1U);
}

TEST_F(PairerTest, ShutdownFinishesAll) {
  request(conn, 0, 10);
  request(connection(2), 0, 10);
  pairer.finish({99});
  ASSERT_EQ(log.done.size(), 2U);
  EXPECT_EQ(log.done[0]->incomplete, "shutdown");
  EXPECT_EQ(log.done[0]->ended.ns, 99U);
}

}  // namespace
}  // namespace wirespan
