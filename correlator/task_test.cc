// evidence/task: scenes it must link and scenes it must refuse.
#include <gtest/gtest.h>

#include "correlator/testing/scene.h"
#include "model/object_task.h"

namespace wirespan {
namespace {

using testing::Scene;

constexpr std::uint32_t kPid = 1;

struct PythonScene : Scene {
  explicit PythonScene(CorrelatorOptions options = certain()) : Scene(std::move(options)) {
    runtimes[kPid] = Runtime::kPython;
  }

  // A context is copied from another one now.
  std::uint64_t copy(std::uint64_t from) {
    now = now + 10;
    const std::uint64_t task = kContextTask | now.ns;
    lines[task] = from;
    return task;
  }
  // All on one event loop's thread.
  Actor in(std::uint64_t task) {
    if (told.insert(task).second) {
      event::Lineage lineage{now, kPid, task, 0, {}};
      for (std::uint64_t at = lines[task]; at != 0 && lineage.count < event::Lineage::kMost; at = lines[at]) {
        lineage.ancestors[lineage.count++] = at;
      }
      if (lineage.count > 0) correlator.on_event(lineage);
    }
    return {{kPid, kPid}, 2, task, lines[task]};
  }
  bool is_root(const ExchangePtr& call) { return !span(call).parent.id.valid(); }

  std::map<std::uint64_t, std::uint64_t> lines;
  std::set<std::uint64_t> told;
  std::uint64_t loop = copy(0);
  // Two other requests are open, so that nothing is linked for being the only one.
  ExchangePtr other = serve(in(copy(loop)));
  ExchangePtr another = serve(in(copy(loop)));
};

// A connection: the loop's callback that reads it, and the task that serves it.
struct Connected {
  explicit Connected(PythonScene& s) : accepted(s.copy(s.loop)), reader(s.copy(accepted)), server(s.copy(accepted)) {}
  std::uint64_t accepted;
  std::uint64_t reader;
  std::uint64_t server;
};

TEST(Task, WhatIsBornOfTheReaderSinceWorksForTheRequest) {
  PythonScene s;
  const Connected one(s);
  const Connected two(s);
  const auto a = s.serve(s.in(one.reader));
  const auto b = s.serve(s.in(two.reader));
  const auto task_a = s.copy(one.reader);
  const auto task_b = s.copy(two.reader);
  const auto gathered = s.copy(task_a);
  const auto of_b = s.call(s.in(task_b));
  const auto of_a = s.call(s.in(gathered));
  s.finish(of_a, s.in(one.reader));
  s.finish(of_b, s.in(two.reader));
  s.finish(a, s.in(task_a));
  s.finish(b, s.in(task_b));
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_EQ(s.span(of_a).parent.method, "task");
}

// asyncio.run in a WSGI application: the thread's event loop is the request's own.
TEST(Task, AThreadThatStaysWithItsRequestMayRunALoopForIt) {
  PythonScene s;
  const auto in = [](std::uint32_t tid, std::uint32_t loop, std::uint64_t task = 0) {
    return Actor{{2, tid}, loop, task, 0};
  };
  s.runtimes[2] = Runtime::kPython;
  const auto open = s.serve(in(9, 2));
  const auto unknown = s.serve(in(7, 2));
  const auto before = s.call(in(7, 4, s.copy(0)));
  s.finish(unknown, in(7, 4));
  for (int i = 0; i < 24; ++i) s.finish(s.serve(in(7, 6)), in(7, 6));
  const auto a = s.serve(in(7, 6));
  const auto b = s.serve(in(8, 2));
  const auto of_a = s.call(in(7, 8, s.copy(0)));
  const auto of_b = s.call(in(8, 10, s.copy(0)));
  s.finish(a, in(7, 8));
  s.finish(b, in(8, 10));
  s.finish(of_a, in(7, 8));
  s.finish(of_b, in(8, 10));
  s.finish(before, in(7, 4));
  EXPECT_TRUE(s.is_root(before)) << "it may as well be a loop that serves several";
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
}

// A background task: its request was answered, and another one is the only one that is open.
TEST(Task, LateWorkIsLinkedToItsRequestAndIsNobodysChild) {
  PythonScene s;
  s.finish(s.other, s.in(s.loop));
  s.finish(s.another, s.in(s.loop));
  const Connected one(s);
  const Connected two(s);
  // Tasks have been seen to end with what their requests left to be done.
  for (int i = 0; i < 20; ++i) {
    const auto request = s.serve(s.in(one.reader));
    const auto task = s.copy(one.reader);
    s.finish(request, s.in(one.reader));
    s.finish(s.call(s.in(task)), s.in(task));
  }
  s.wait(600'000'000);
  const auto a = s.serve(s.in(one.reader));
  const auto background = s.copy(one.reader);
  s.finish(a, s.in(one.reader));
  const auto b = s.serve(s.in(two.reader));
  const auto late = s.call(s.in(background));
  s.finish(late, s.in(background));
  s.wait(3'000'000'000);
  const auto too_late = s.call(s.in(background));
  s.finish(too_late, s.in(background));
  s.finish(b, s.in(two.reader));
  EXPECT_TRUE(s.is_root(late));
  ASSERT_EQ(s.span(late).links.size(), 1U);
  EXPECT_EQ(s.span(late).links[0].span, s.span(a).id);
  EXPECT_EQ(s.span(late).links[0].trace, s.span(a).trace);
  EXPECT_EQ(s.span(late).links[0].attributes.text("opentracing.ref_type"), "follows_from");
  EXPECT_EQ(s.span(late).attributes.text("wirespan.link.missing"), "after_answer");
  EXPECT_TRUE(s.span(too_late).links.empty());
}

TEST(Task, AWorkerThatAHandlerBeganIsNoLateWork) {
  PythonScene s;
  const Connected one(s);
  std::vector<ExchangePtr> calls;
  for (int i = 0; i < 40; ++i) {
    const auto request = s.serve(s.in(one.reader));
    const auto worker = s.copy(one.reader);
    s.finish(request, s.in(one.reader));
    for (int k = 0; k < 12; ++k) {
      calls.push_back(s.call(s.in(worker)));
      s.finish(calls.back(), s.in(worker));
      s.wait(100'000'000);
    }
  }
  for (const auto& call : calls) EXPECT_TRUE(s.span(call).links.empty());
}

TEST(Task, ATaskOfAnEarlierRequestOfTheSameConnectionIsNotOfTheNext) {
  PythonScene s;
  const Connected one(s);
  const auto first = s.serve(s.in(one.reader));
  const auto task = s.copy(one.reader);
  const auto background = s.copy(task);
  s.finish(first, s.in(task));
  const auto second = s.serve(s.in(one.reader));
  const auto late = s.call(s.in(background));
  const auto fresh = s.copy(one.reader);
  const auto of_second = s.call(s.in(fresh));
  s.finish(late, s.in(s.loop));
  s.finish(of_second, s.in(s.loop));
  s.finish(second, s.in(fresh));
  EXPECT_TRUE(s.is_root(late));
  EXPECT_TRUE(s.is_parent(second, of_second));
}

TEST(Task, AnAddressUsedAgainIsAnotherTask) {
  PythonScene s;
  const Connected one(s);
  const auto a = s.serve(s.in(one.reader));
  const auto stranger = s.copy(s.loop);  // numbered by its birth, wherever it lies
  const auto call = s.call(s.in(stranger));
  s.finish(call, s.in(s.loop));
  s.finish(a, s.in(s.copy(one.reader)));
  EXPECT_TRUE(s.is_root(call));
}

TEST(Task, ReadersWithSeveralRequestsOpenProveNothingByThemselves) {
  PythonScene s;
  const Connected one(s);
  const auto a = s.serve(s.in(one.reader));
  const auto b = s.serve(s.in(one.reader));
  const auto itself = s.call(s.in(one.reader));
  const auto of_b = s.call(s.in(s.copy(one.reader)));
  s.finish(itself, s.in(s.loop));
  s.finish(of_b, s.in(s.loop));
  s.finish(a, s.in(one.server));
  s.finish(b, s.in(one.server));
  EXPECT_TRUE(s.is_root(itself));
  EXPECT_TRUE(s.is_parent(b, of_b)) << "born after it was read";
}

// aiohttp: the connection's own task, or one that it starts for a request, answers.
struct Answering : PythonScene {
  // Inference holds calls back until they are answered; nothing is linked by it.
  static CorrelatorOptions patient() {
    CorrelatorOptions options;
    options.threshold = 0.9;
    return options;
  }
  Answering() : PythonScene(patient()) {}
  // Serves a request on each of several connections at once, as a process does over and over.
  void practise(std::vector<Connected>& connections) {
    std::vector<ExchangePtr> requests;
    std::vector<ExchangePtr> calls;
    for (Connected& c : connections) requests.push_back(serve(in(c.reader)));
    for (Connected& c : connections) calls.push_back(call(in(copy(c.server))));
    for (const auto& made : calls) finish(made, in(loop));
    for (std::size_t i = 0; i < requests.size(); ++i) finish(requests[i], in(connections[i].server));
    practised.insert(practised.end(), calls.begin(), calls.end());
    of.insert(of.end(), requests.begin(), requests.end());
  }
  std::vector<ExchangePtr> practised;
  std::vector<ExchangePtr> of;
};

TEST(Task, WhoAnswersMadeTheCalls) {
  Answering s;
  std::vector<Connected> connections;
  for (int i = 0; i < 8; ++i) connections.emplace_back(s);
  for (int i = 0; i < 4; ++i) s.practise(connections);
  for (std::size_t i = 24; i < s.practised.size(); ++i) EXPECT_TRUE(s.is_parent(s.of[i], s.practised[i])) << i;
}

TEST(Task, WorkLeftFromBeforeIsNotOfTheNextAnswer) {
  Answering s;
  std::vector<Connected> connections;
  for (int i = 0; i < 8; ++i) connections.emplace_back(s);
  for (int i = 0; i < 4; ++i) s.practise(connections);
  Connected& one = connections[0];
  const auto background = s.copy(one.server);
  const auto request = s.serve(s.in(one.reader));
  const auto late = s.call(s.in(background));
  const auto call = s.call(s.in(s.copy(one.server)));
  s.finish(late, s.in(s.loop));
  s.finish(call, s.in(s.loop));
  s.finish(request, s.in(one.server));
  EXPECT_TRUE(s.is_root(late));
  EXPECT_TRUE(s.is_parent(request, call));
}

TEST(Task, ATaskThatAnswersForSeveralConnectionsIsNotBelieved) {
  Answering s;
  std::vector<Connected> connections;
  for (int i = 0; i < 8; ++i) {
    connections.emplace_back(s);
    connections.back().server = connections.front().server;
  }
  for (int i = 0; i < 8; ++i) s.practise(connections);
  for (const auto& call : s.practised) EXPECT_TRUE(s.is_root(call));
}

TEST(Task, BackgroundWorkIsNotTheOnlyOpenRequests) {
  PythonScene s;
  s.finish(s.other, s.in(s.loop));
  s.finish(s.another, s.in(s.loop));
  const Connected one(s);
  for (int i = 0; i < 20; ++i) {
    const auto a = s.serve(s.in(one.reader));
    const auto task = s.copy(one.reader);
    s.finish(s.call(s.in(task)), s.in(one.reader));
    s.finish(a, s.in(task));
  }
  const auto a = s.serve(s.in(one.reader));
  const auto background = s.call(s.in(s.copy(s.loop)));
  s.finish(background, s.in(s.loop));
  s.finish(a, s.in(s.copy(one.reader)));
  EXPECT_TRUE(s.is_root(background));
}

TEST(Task, NorWhereAnswersTellWhoCalled) {
  Answering s;
  s.finish(s.other, s.in(s.loop));
  s.finish(s.another, s.in(s.loop));
  std::vector<Connected> connections{Connected(s)};
  for (int i = 0; i < 20; ++i) s.practise(connections);
  const auto a = s.serve(s.in(connections[0].reader));
  const auto background = s.call(s.in(s.copy(s.loop)));
  const auto call = s.call(s.in(s.copy(connections[0].server)));
  s.finish(background, s.in(s.loop));
  s.finish(call, s.in(s.loop));
  s.finish(a, s.in(connections[0].server));
  EXPECT_TRUE(s.is_root(background));
  EXPECT_TRUE(s.is_parent(a, call));
}

// Tornado's client: a call runs in a context of its own, and where it ends the next of those that wait is begun.
struct Queueing : PythonScene {
  struct Running {
    std::uint64_t context = 0;
    ExchangePtr call;
  };
  Running run(std::uint64_t from) {
    Running running{copy(from), nullptr};
    running.call = call(in(running.context));
    return running;
  }
  // Hears of it, and begins another one there.
  Running next(const Running& ended) {
    const auto parser = copy(ended.context);
    finish(ended.call, in(copy(ended.context)));
    return run(parser);
  }
  struct Round {
    ExchangePtr of_a, of_b;
    Running direct, queued;
  };
  // A's call, then one of B's that waited for it; A is answered before that one is.
  Round contend(const Connected& one, const Connected& two) {
    Round round{serve(in(one.reader)), serve(in(two.reader)), {}, {}};
    const auto task_a = copy(one.reader);
    const auto task_b = copy(two.reader);
    round.direct = run(task_a);
    round.queued = next(round.direct);
    finish(round.of_a, in(task_a));
    finish(round.queued.call, in(copy(round.queued.context)));
    finish(round.of_b, in(task_b));
    return round;
  }
};

TEST(Task, ACallBegunWhereAnotherEndedMayBeAnybodys) {
  Queueing s;
  const Connected one(s);
  const Connected two(s);
  for (int i = 0; i < 100; ++i) {
    const auto round = s.contend(one, two);
    EXPECT_TRUE(s.is_parent(round.of_a, round.direct.call)) << i;
    EXPECT_TRUE(s.is_root(round.queued.call)) << i;
  }
}

TEST(Task, ItIsOfItsContextWhereNoRequestWasEverAnsweredBeforeSuchACall) {
  Queueing s;
  const Connected one(s);
  Queueing::Running last;
  ExchangePtr request;
  for (int i = 0; i < 100; ++i) {
    request = s.serve(s.in(one.reader));
    const auto task = s.copy(one.reader);
    last = s.next(s.run(task));  // after a redirect, say
    s.finish(last.call, s.in(s.copy(last.context)));
    s.finish(request, s.in(task));
  }
  EXPECT_TRUE(s.is_parent(request, last.call));
}

TEST(Task, OneCallThatOutlivesItsRequestTakesThatBack) {
  Queueing s;
  const Connected one(s);
  const Connected two(s);
  const auto redirected = [&] {
    const auto request = s.serve(s.in(one.reader));
    const auto task = s.copy(one.reader);
    const auto last = s.next(s.run(task));
    s.finish(last.call, s.in(s.copy(last.context)));
    s.finish(request, s.in(task));
    return last.call;
  };
  for (int i = 0; i < 100; ++i) redirected();
  s.contend(one, two);
  EXPECT_TRUE(s.is_root(redirected()));
}

TEST(Task, CallsOfChildrenAfterACallOfTheirParentWaitForProofAndAreNotLost) {
  Answering s;
  const Connected one(s);
  std::vector<std::pair<ExchangePtr, ExchangePtr>> made;
  for (int i = 0; i < 40; ++i) {
    const auto request = s.serve(s.in(one.reader));
    const auto task = s.copy(one.reader);
    s.finish(s.call(s.in(task)), s.in(task));
    const auto gathered = s.call(s.in(s.copy(task)));
    s.finish(gathered, s.in(task));
    s.finish(request, s.in(task));
    made.emplace_back(request, gathered);
  }
  for (const auto& [request, call] : made) EXPECT_TRUE(s.is_parent(request, call));
}

TEST(Task, AThreadThatReadsWithoutAContextAndCallsInOneIsStillThatThread) {
  PythonScene s;
  const Actor worker{{2, 7}, 0, 0, 0};
  const Actor inside{{2, 7}, 0, s.copy(0), 0};
  const auto b = s.serve({{2, 8}, 0, 0, 0});
  const auto a = s.serve(worker);
  const auto call = s.call(inside);
  s.finish(call, inside);
  s.finish(a, worker);
  s.finish(b, {{2, 8}, 0, 0, 0});
  EXPECT_TRUE(s.is_parent(a, call));
  EXPECT_EQ(s.span(call).parent.method, "thread");
}

// An event loop of Vert.x's: it reads in no context, and names the request's own when it sends.
struct LoopScene : Scene {
  LoopScene() : Scene(Answering::patient()) { runtimes[kPid] = Runtime::kJvm; }
  static Actor in(std::uint64_t context) {
    return {{kPid, kPid}, 2, context == 0 ? 0 : kContextTask | kObjectTask | context, 0};
  }
  struct Served {
    ExchangePtr request;
    ExchangePtr call;
    std::uint64_t context = 0;
  };
  Served serve_one() {
    Served out{serve(in(0)), nullptr, ++last};
    out.call = call(in(out.context));
    return out;
  }
  // Several at once, each answered in its own context.
  std::vector<Served> practise(int rounds) {
    std::vector<Served> all;
    for (int round = 0; round < rounds; ++round) {
      std::vector<Served> some;
      for (int i = 0; i < 8; ++i) some.push_back(serve_one());
      // Not the one right after the other, from which more could be told.
      for (const Served& one : some) finish(one.call, in(0));
      for (const Served& one : some) finish(one.request, in(one.context));
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
  std::uint64_t last = 0;
};

TEST(Task, AContextOfVertxIsOfTheRequestItAnswers) {
  LoopScene s;
  for (const auto& one : s.practise(4)) EXPECT_TRUE(s.is_parent(one.request, one.call));
}

// A lock, a cache or a pool in Java lets a request go on in the context of the one it waited for.
TEST(Task, ContextsOfVertxThatAnswerSeveralRequestsAreNotBelieved) {
  LoopScene s;
  s.practise(8);
  const auto a = s.serve_one();
  const auto b = s.serve_one();
  s.finish(a.call, LoopScene::in(0));
  s.finish(b.call, LoopScene::in(0));
  s.finish(a.request, LoopScene::in(a.context));
  s.finish(b.request, LoopScene::in(a.context));
  for (const auto& one : s.practise(4)) EXPECT_FALSE(s.span(one.call).parent.id.valid());
}

TEST(Task, ACallInNoContextOfVertxBelongsToNobody) {
  LoopScene s;
  s.practise(4);
  const auto a = s.serve_one();
  const auto b = s.serve_one();
  const auto background = s.call(LoopScene::in(0));
  const auto shared = s.call(LoopScene::in(++s.last));
  s.finish(background, LoopScene::in(0));
  s.finish(shared, LoopScene::in(0));
  s.finish(a.call, LoopScene::in(0));
  s.finish(b.call, LoopScene::in(0));
  s.finish(a.request, LoopScene::in(a.context));
  s.finish(b.request, LoopScene::in(b.context));
  EXPECT_FALSE(s.span(background).parent.id.valid());
  EXPECT_FALSE(s.span(shared).parent.id.valid());
  EXPECT_TRUE(s.is_parent(a.request, a.call));
}

}  // namespace
}  // namespace wirespan
