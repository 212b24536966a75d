#include "agent/capture/java_known_ways.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "agent/capture/process_memory.h"

namespace wirespan {
namespace {

struct Field {
  std::string_view owner;
  const char* name;
};
constexpr std::string_view kThread = "java/lang/Thread";
constexpr const char* kHandle = "eetop";
constexpr const char* kNumber = "tid";

// Who waits for a future or for a latch, for as long as it does. (Latches of older JDKs name it as locks do.)
constexpr std::array<Field, 3> kWaiters{
    {{"java/util/concurrent/CompletableFuture$Signaller", "thread"},
     {"java/util/concurrent/FutureTask$WaitNode", "thread"},
     {"java/util/concurrent/locks/AbstractQueuedSynchronizer$SharedNode", "waiter"}}};

constexpr std::array kReferences{
    Field{"sun/nio/ch/SocketChannelImpl", "keys"},
    Field{"sun/nio/ch/SelectionKeyImpl", "attachment"},
    Field{"jdk/internal/net/http/HttpClientImpl$SelectorAttachment", "pending"},
    Field{"java/util/HashSet", "map"},
    Field{"java/util/HashMap", "table"},
    Field{"java/util/HashMap$Node", "key"},
    Field{"jdk/internal/net/http/SocketTube$InternalReadPublisher$ReadEvent", "this$1"},
    Field{"jdk/internal/net/http/SocketTube$InternalReadPublisher", "subscription"},
    Field{"jdk/internal/net/http/SocketTube$InternalReadPublisher", "pendingSubscription"},
    Field{"java/util/concurrent/atomic/AtomicReference", "value"},
    Field{"jdk/internal/net/http/SocketTube$InternalReadPublisher$ReadSubscription", "subscriber"},
    Field{"jdk/internal/net/http/Http1AsyncReceiver$Http1TubeSubscriber", "this$0"},
    Field{"jdk/internal/net/http/Http1AsyncReceiver", "delegate"},
    Field{"jdk/internal/net/http/Http1AsyncReceiver", "owner"},
    Field{"jdk/internal/net/http/Http1Response$HeadersReader", "cf"},
    Field{"jdk/internal/net/http/Http1Exchange", "headersSentCF"},
    Field{"jdk/internal/net/http/common/MinimalFuture", "stack"},
    Field{"java/util/concurrent/CompletableFuture", "stack"},
    Field{"java/util/concurrent/CompletableFuture$CoCompletion", "base"},
    Field{"java/util/concurrent/CompletableFuture$CoCompletion", "next"},
    // Jetty's client (12).
    Field{"org/eclipse/jetty/io/SocketChannelEndPoint", "_connection"},
    Field{"org/eclipse/jetty/client/transport/internal/HttpConnectionOverHTTP", "channel"},
    Field{"org/eclipse/jetty/client/transport/internal/HttpChannelOverHTTP", "_exchange"},
    Field{"org/eclipse/jetty/client/transport/HttpExchange", "listeners"},
    Field{"org/eclipse/jetty/client/transport/ResponseListeners", "completeListener"},
    // From what a pool's thread works on to what it is to do, and who waits for that: at a latch, or at a queue of its
    // own.
    Field{"java/util/concurrent/FutureTask", "callable"},
    Field{"java/util/concurrent/ExecutorCompletionService$QueueingFuture", "callable"},
    Field{"java/util/concurrent/Executors$RunnableAdapter", "task"},
    Field{"java/util/concurrent/ExecutorCompletionService$QueueingFuture", "completionQueue"},
    Field{"java/util/concurrent/CountDownLatch", "sync"},
    Field{"java/util/concurrent/CountDownLatch$Sync", "head"},
    Field{"java/util/concurrent/locks/AbstractQueuedSynchronizer$ExclusiveNode", "next"},
    Field{"java/util/concurrent/LinkedBlockingQueue", "notEmpty"},
    Field{"java/util/concurrent/LinkedBlockingDeque", "notEmpty"},
    Field{"java/util/concurrent/ArrayBlockingQueue", "notEmpty"},
    Field{"java/util/concurrent/locks/AbstractQueuedSynchronizer$ConditionObject", "firstWaiter"},
};
// From what servers give to a program to the connection they were asked on: the JDK's own, Tomcat (10.1), Jetty (9.4,
// 11, 12), Undertow (2.3), Netty (4.1, 4.2).
constexpr std::array kServers{
    Field{"sun/net/httpserver/HttpExchangeImpl", "impl"},
    Field{"sun/net/httpserver/HttpsExchangeImpl", "impl"},
    Field{"sun/net/httpserver/ExchangeImpl", "connection"},
    Field{"sun/net/httpserver/HttpConnection", "chan"},
    Field{"org/apache/catalina/core/AsyncContextImpl", "request"},
    Field{"org/apache/catalina/connector/RequestFacade", "request"},
    Field{"org/apache/catalina/connector/ResponseFacade", "response"},
    Field{"org/apache/catalina/connector/Response", "request"},
    Field{"org/apache/catalina/connector/Request", "coyoteRequest"},
    Field{"org/apache/coyote/Request", "hook"},
    Field{"org/apache/coyote/http11/Http11Processor", "socketWrapper"},
    Field{"org/apache/tomcat/util/net/NioEndpoint$NioSocketWrapper", "socket"},
    Field{"org/apache/tomcat/util/net/NioChannel", "sc"},
    Field{"org/eclipse/jetty/ee10/servlet/AsyncContextState", "_state"},
    Field{"org/eclipse/jetty/ee10/servlet/ServletChannelState", "_servletChannel"},
    Field{"org/eclipse/jetty/ee10/servlet/ServletApiRequest", "_servletChannel"},
    Field{"org/eclipse/jetty/ee10/servlet/ServletApiResponse", "_servletChannel"},
    Field{"org/eclipse/jetty/ee10/servlet/ServletContextRequest", "_servletChannel"},
    Field{"org/eclipse/jetty/ee10/servlet/ServletChannel", "_connectionMetaData"},
    Field{"org/eclipse/jetty/server/Request$Wrapper", "_request"},
    Field{"org/eclipse/jetty/server/Response$Wrapper", "_wrapped"},
    Field{"org/eclipse/jetty/server/internal/HttpChannelState$ChannelResponse", "_request"},
    Field{"org/eclipse/jetty/server/internal/HttpChannelState$ChannelRequest", "_connectionMetaData"},
    Field{"org/eclipse/jetty/server/internal/HttpConnection", "_endPoint"},
    Field{"org/eclipse/jetty/server/AsyncContextState", "_channel"},
    Field{"org/eclipse/jetty/server/Request", "_channel"},
    Field{"org/eclipse/jetty/server/Response", "_channel"},
    Field{"org/eclipse/jetty/server/HttpChannelOverHttp", "_endPoint"},
    Field{"org/eclipse/jetty/io/SocketChannelEndPoint", "_channel"},
    Field{"io/undertow/server/HttpServerExchange", "connection"},
    Field{"io/undertow/server/protocol/http/HttpServerConnection", "originalSourceConduit"},
    Field{"org/xnio/nio/NioSocketConduit", "socketChannel"},
    Field{"io/netty/channel/DefaultChannelHandlerContext", "pipeline"},
    Field{"io/netty/channel/DefaultChannelPipeline", "channel"},
    Field{"io/netty/channel/socket/nio/NioSocketChannel", "ch"},
};
// What programs leave at a channel of Netty's, and what is to be done after its promises.
constexpr std::array kNetty{
    Field{"io/netty/channel/socket/nio/NioSocketChannel", "attributes"},
    Field{"io/netty/channel/epoll/EpollSocketChannel", "attributes"},
    Field{"io/netty/util/DefaultAttributeMap$DefaultAttribute", "value"},
    Field{"io/netty/util/concurrent/DefaultPromise", "listener"},
    Field{"io/netty/util/concurrent/DefaultPromise", "listeners"},
    Field{"io/netty/util/concurrent/DefaultFutureListeners", "listeners"},
    Field{"io/netty/util/concurrent/PromiseCombiner$1", "this$0"},
    Field{"io/netty/util/concurrent/PromiseCombiner", "aggregatePromise"},
};
constexpr std::string_view kNettyLinuxSocket = "io/netty/channel/epoll/LinuxSocket";
constexpr std::array<std::string_view, 4> kArrays{"[Ljava/nio/channels/SelectionKey;", "[Ljava/util/HashMap$Node;",
                                                  "[Lio/netty/util/DefaultAttributeMap$DefaultAttribute;",
                                                  "[Lio/netty/util/concurrent/GenericFutureListener;"};
// What is to be done with a future's result, and the future that is done by that.
constexpr std::string_view kCompletions = "java/util/concurrent/CompletableFuture$";
constexpr const char* kDependent = "dep";
constexpr const char* kFunction = "fn";
// Who waits at a condition, for as long as it does.
constexpr Field kWaitsForTask{"java/util/concurrent/locks/AbstractQueuedSynchronizer$ConditionNode", "waiter"};
// What a function has captured: all that a lambda refers to, of older and local classes what javac calls so. But not of
// the JDK's own.
constexpr std::string_view kCaptured = "val$";
// Classes that have captured something, of a process. Large ones have thousands since they were started, the newest of
// which are told first; those that requests need are loaded with them.
constexpr std::size_t kMostCaptured = 2048;
constexpr std::size_t kMostCapturedAtFirst = 1024;
constexpr std::string_view kLambda = "$$Lambda";
constexpr std::array<std::string_view, 5> kJdk{"java/", "javax/", "jdk/", "sun/", "com/sun/"};

bool is_lambda(std::string_view name) {
  return name.find(kLambda) != std::string_view::npos;
}

bool is_of_jdk(std::string_view name) {
  return std::ranges::any_of(kJdk, [name](std::string_view package) { return name.starts_with(package); });
}

// Such classes are numbered: "Main$1", or "Main$1Job" where they have a name.
bool is_local(std::string_view name) {
  const std::size_t at = name.rfind('$');
  return at != std::string_view::npos && at + 1 < name.size() && name[at + 1] >= '0' && name[at + 1] <= '9';
}

}  // namespace

bool is_java_function(std::string_view name) {
  return !is_of_jdk(name) && (is_lambda(name) || is_local(name));
}

const JavaChannel* JavaEnds::channel(std::uint64_t named) const {
  if (named == 0) return nullptr;
  const auto* const it = std::ranges::find(channels, named, &JavaChannel::named);
  return it == channels.end() ? nullptr : it;
}

bool JavaEnds::add(const JavaChannel& channel) {
  for (JavaChannel& known : channels) {
    if (known.named != 0 && known.named != channel.named) continue;
    known = channel;
    return true;
  }
  return false;
}

const char* java_waiter_field(const std::string& name) {
  const auto* const node = std::ranges::find(kWaiters, name, &Field::owner);
  return node == kWaiters.end() ? nullptr : node->name;
}

bool find_java_thread_fields(const JavaObjects& objects, std::uint64_t named, JavaEnds& ends) {
  const auto handle = objects.field_or_above(named, kHandle);
  const auto number = objects.field_or_above(named, kNumber);
  if (!handle || !number) return false;
  ends.handle = *handle;
  ends.number = *number;
  return true;
}

bool JavaKnownWays::add_captured(const JavaObjects& objects, JavaReferences& references, std::uint32_t named,
                                 std::string_view name) {
  if (captured_.size() >= most_captured_ || !is_java_function(name)) return false;
  const bool lambda = is_lambda(name);
  std::vector<std::uint16_t> fields;
  for (const auto& [offset, count] : references.layout_of(named).references) {
    for (std::uint32_t i = 0; i < count; ++i)
      fields.push_back(static_cast<std::uint16_t>(offset + i * references.reference_size()));
  }
  if (!lambda && !fields.empty()) {
    const auto own = objects.fields(named);
    std::erase_if(fields, [&own](std::uint16_t field) {
      return std::ranges::none_of(
          own, [field](const auto& one) { return one.second == field && one.first.starts_with(kCaptured); });
    });
  }
  if (fields.empty() || fields.size() > WS_WAY_FIELDS) return false;
  captured_[named] = std::move(fields);
  return true;
}

bool JavaKnownWays::add(const JavaObjects& objects, JavaReferences& references, std::uint32_t named,
                        const std::string& name) {
  if (name == kThread && !find_java_thread_fields(objects, named, ends_)) return false;
  if (const char* const waits = java_waiter_field(name)) {
    const auto at = objects.field_or_above(named, waits);
    return at && ends_.waiters.emplace(named, *at).second;
  }
  if (name == kWaitsForTask.owner) {
    const auto at = objects.field_or_above(named, kWaitsForTask.name);
    return at && ends_.of_tasks.emplace(named, *at).second;
  }
  if (std::ranges::find(kArrays, name) != kArrays.end()) {
    ways_[named] = {JavaReference::kElement};
    return true;
  }
  if (add_captured(objects, references, named, name)) return true;
  std::vector<std::uint16_t> fields;
  const auto add_those = [&](const auto& table) {
    for (const Field& one : table) {
      if (name != one.owner) continue;
      if (const auto at = objects.field_or_above(named, one.name)) fields.push_back(*at);
    }
  };
  add_those(kReferences);
  add_those(kServers);
  add_those(kNetty);
  if (name == kNettyChannel) netty_ = {named, objects.field_or_above(named, kNettySocket).value_or(0), 0};
  if (name == kNettyLinuxSocket) netty_descriptor_ = objects.field_or_above(named, kNettyDescriptor).value_or(0);
  if (name.starts_with(kCompletions)) {
    for (const char* const on : {kDependent, kFunction})
      if (const auto at = objects.field_or_above(named, on)) fields.push_back(*at);
  }
  if (name == kJavaChannel) {
    const auto at = objects.field_or_above(named, kJavaDescriptor);
    if (at) ends_.add({named, 0, *at});
  }
  if (fields.empty()) return false;
  std::ranges::sort(fields);
  ways_[named] = std::move(fields);
  return true;
}

bool JavaKnownWays::look(std::uint32_t pid, const JavaProcess& process) {
  const ProcessMemory memory(pid);
  const JavaObjects objects(memory, process.table, process.heap);
  JavaLayouts layouts;
  JavaReferences references(memory, process.table, process.heap, layouts);
  const JavaEnds before = ends_;
  bool more = false;
  if (newest_.empty()) most_captured_ = kMostCapturedAtFirst;
  objects.each_new(newest_, [&](std::uint64_t named, const std::string& name) {
    if (named <= UINT32_MAX && add(objects, references, static_cast<std::uint32_t>(named), name)) more = true;
  });
  most_captured_ = kMostCaptured;
  // Its channel and what has the descriptor are loaded one after the other.
  if (netty_.socket != 0 && netty_descriptor_ != 0) ends_.add({netty_.named, netty_.socket, netty_descriptor_});
  return more || ends_ != before;
}

}  // namespace wirespan
