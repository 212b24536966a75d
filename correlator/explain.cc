#include "correlator/explain.h"

#include <array>
#include <utility>

namespace wirespan {
namespace {

using Row = std::pair<std::string_view, std::string_view>;

constexpr std::array kMethods = {
    Row{"peer",
        "both ends of this exchange were seen on this host and compute the same identity from TCP sequence numbers"},
    Row{"traceparent", "the request carried a W3C traceparent header"},
    Row{"b3", "the request carried B3 headers"},
    Row{"jaeger", "the request carried uber-trace-id"},
    Row{"xray", "the request carried X-Amzn-Trace-Id"},
    Row{"grpc_trace_bin", "the request carried grpc-trace-bin"},
    Row{"forwarded_header", "it carries the very trace context that exactly one open request of the process came with"},
    Row{"connect", "it is the first request on a connection that was opened while working for the parent"},
    Row{"thread", "the thread that read the parent's request sent it, with no other request in between"},
    Row{"response", "the thread that sent it had just read an answer to an earlier call of the parent"},
    Row{"goroutine", "the goroutine that sent it works for the parent, or was started by the one that does"},
    Row{"errand",
        "the thread that sent it had taken, out of a pool's queue, a piece of work that the one working for the parent "
        "put there"},
    Row{"awaited",
        "whoever read its response woke the thread that waited inside of the parent, itself or by others, as responses "
        "do in this process"},
    Row{"future",
        "the thread that read its response worked on a Java future that the thread of the parent held, or waited for"},
    Row{"begun", "the thread that sent it was begun by the one working for the parent, and ended with it"},
    Row{"resumed", "the thread that sent it waited for itself alone until the one working for the parent woke it"},
    Row{"task", "the Python task that sent it, or one that started it, was started for the parent or answered it"},
    Row{"async_id",
        "Node's own numbers of asynchronous contexts say that it was made while working for the parent, and in this "
        "process answers bear that out"},
    Row{"tokio",
        "the tokio task that sent it had read the parent's request, or was begun by the one that had (also to block a "
        "thread), or was woken to send it by such a task, which its response woke in turn"},
    Row{"channel",
        "the goroutine that sent it works on what came through a channel from the one working for the parent"},
    Row{"turn",
        "its event loop sent it right after it had read the parent, or the answer to another call of the parent's, and "
        "in this process what a loop sends next has always been because of what it read"},
    Row{"answered",
        "right after its response was read the loop sent the answer to the parent, and in this process answers have "
        "always followed the response that made them possible"},
    Row{"batch",
        "in one turn its event loop read as many requests as it sent calls, and in order this call goes with the "
        "parent, "
        "which was answered in the turn in which the call's response was read; in this process that has always been "
        "so"},
    Row{"worker", "the thread that answered the parent had made it, and nothing else since its answer before"},
    Row{"shared_value",
        "it carries an id that of all open requests only the parent came with, and in this process such ids are handed "
        "on"},
    Row{"fork", "the process that sent it was started while working for the parent"},
    Row{"only_open", "the parent was the only request the process was serving; background work would look the same"},
    Row{"inferred",
        "among the requests open then it fits best: timing, order, number of calls and shared values together"},
};

constexpr std::array kMissing = {
    Row{"several_open",
        "several requests were open in the process and nothing the kernel showed tied the call to one of them"},
    Row{"thread_moved",
        "the thread that sent it had read a request, but that was answered by another thread: in this process work "
        "moves between threads"},
    Row{"answer_lost",
        "events were lost, and the answer to the request it seemed to belong to was not seen: that may have been over, "
        "and another one under way unseen"},
    Row{"unproven",
        "a goroutine begun while the process worked for a request made it; such goroutines go on to work for others in "
        "this process, or it was not seen for long enough that they do not"},
    Row{"ambiguous", "several open requests fit about equally well; the candidates are listed as span links"},
    Row{"table_full", "more exchanges were open than the agent keeps (counted as correlator.lost.open_table_full)"},
    Row{"over_budget",
        "so many requests and calls were open that weighing them all would have cost too much (counted as "
        "inference.over_budget.calls)"},
    Row{"after_answer",
        "the request it was made for had been answered before: late work, in a trace of its own with a span link to "
        "that"},
    Row{"none_fits", "no open request of the process fits the call"},
    Row{"window_began",
        "requests were open that had been read before wirespan came, or before this sampling window began: it may be "
        "of "
        "one of those"},
};

template <std::size_t N>
std::string_view look_up(const std::array<Row, N>& rows, std::string_view word) {
  for (const auto& [name, text] : rows) {
    if (name == word) return text;
  }
  return "of a reason this version does not know";
}

}  // namespace

std::string_view explain_method(std::string_view method) {
  return look_up(kMethods, method);
}
std::string_view explain_missing(std::string_view reason) {
  return look_up(kMissing, reason);
}

}  // namespace wirespan
