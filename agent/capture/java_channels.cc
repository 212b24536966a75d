// The way from a channel of Netty's to the context of Vert.x's that its connection works for.
#include <array>
#include <cerrno>
#include <vector>

#include "agent/capture/java_machine.h"

namespace wirespan {
namespace {

struct Field {
  const char* owner;  // the class that declares it
  const char* name;
};
struct Step {
  const char* owner;
  const char* name;
  std::uint16_t ws_java_process::* to;
};

// A sort of channel: the class that names its socket's object, and the class of that which has the descriptor.
struct Channel {
  const char* name;
  Field socket;
  Field descriptor;
};
const std::array<Channel, WS_JAVA_CLASSES> kChannels{{{"io/netty/channel/socket/nio/NioSocketChannel",
                                                       {"io/netty/channel/nio/AbstractNioChannel", "ch"},
                                                       {"sun/nio/ch/SocketChannelImpl", "fdVal"}},
                                                      {"io/netty/channel/epoll/EpollSocketChannel",
                                                       {"io/netty/channel/epoll/AbstractEpollChannel", "socket"},
                                                       {"io/netty/channel/unix/FileDescriptor", "fd"}}}};

constexpr const char* kHandler = "io/vertx/core/net/impl/VertxHandler";
constexpr const char* kClient = "io/vertx/core/http/impl/Http1xClientConnection";
constexpr const char* kStream = "io/vertx/core/http/impl/Http1xClientConnection$Stream";
constexpr const char* kServer = "io/vertx/core/http/impl/Http1xServerConnection";
constexpr const char* kRequest = "io/vertx/core/http/impl/Http1xServerRequest";
constexpr const char* kDeque = "java/util/ArrayDeque";

const std::vector<Step> kAlways{{"io/netty/channel/AbstractChannel", "pipeline", &ws_java_process::pipeline},
                                {"io/netty/channel/DefaultChannelPipeline", "tail", &ws_java_process::tail},
                                {"io/netty/channel/AbstractChannelHandlerContext", "prev", &ws_java_process::previous},
                                {"io/netty/channel/DefaultChannelHandlerContext", "handler", &ws_java_process::handler},
                                {kHandler, "conn", &ws_java_process::connection}};
const std::vector<Step> kOfClients{{kClient, "responses", &ws_java_process::responses},
                                   {kDeque, "elements", &ws_java_process::elements},
                                   {kDeque, "tail", &ws_java_process::end},
                                   {kStream, "context", &ws_java_process::stream_context}};
const std::vector<Step> kOfServers{{kServer, "responseInProgress", &ws_java_process::answering},
                                   {kRequest, "context", &ws_java_process::request_context}};

// Whether all are loaded. ENOTSUP: their fields are not what we know.
Result<bool> follow(const JavaObjects& objects, const JavaClasses& classes, const std::vector<Step>& steps,
                    ws_java_process& at) {
  for (const Step& step : steps) {
    const std::uint64_t owner = classes.get(step.owner);
    if (owner == 0) return false;
    const auto offset = objects.field(owner, step.name);
    if (!offset) return Error{"how its connections lie is not understood", ENOTSUP, {}};
    at.*step.to = *offset;
  }
  return true;
}

}  // namespace

Result<bool> find_java_channels(std::uint32_t pid, JavaProcess& process) {
  const JavaHeap& heap = process.heap;
  if (heap.array == 0 || heap.begin == 0) return Error{"how its arrays lie is not understood", ENOTSUP, {}};
  JavaClasses& classes = process.classes;
  if (classes.wanted.empty()) {
    for (const Channel& channel : kChannels)
      classes.wanted.insert({channel.name, channel.socket.owner, channel.descriptor.owner});
    for (const auto* const steps : {&kAlways, &kOfClients, &kOfServers}) {
      for (const Step& step : *steps) classes.wanted.insert(step.owner);
    }
  }
  const ProcessMemory memory(pid);
  const JavaObjects objects(memory, process.table, heap);
  objects.find(classes);
  ws_java_process at = process.where;
  const auto always = follow(objects, classes, kAlways, at);
  const auto clients = follow(objects, classes, kOfClients, at);
  const auto servers = follow(objects, classes, kOfServers, at);
  for (const auto* const found : {&always, &clients, &servers}) {
    if (!*found) return found->error();
  }
  std::size_t count = 0;
  for (const Channel& channel : kChannels) {
    const std::uint64_t named = classes.get(channel.name);
    const std::uint64_t socket = classes.get(channel.socket.owner);
    const std::uint64_t descriptor = classes.get(channel.descriptor.owner);
    if (named == 0 || socket == 0 || descriptor == 0) continue;
    const auto socket_at = objects.field(socket, channel.socket.name);
    const auto descriptor_at = objects.field(descriptor, channel.descriptor.name);
    if (!socket_at || !descriptor_at) return Error{"how its channels lie is not understood", ENOTSUP, {}};
    at.channels[count] = named;
    at.sockets[count] = *socket_at;
    at.descriptors[count++] = *descriptor_at;
  }
  if (count == 0 || !*always || !*clients) return false;
  at.handler_class = classes.get(kHandler);
  at.client_class = classes.get(kClient);
  at.server_class = *servers ? classes.get(kServer) : 0;
  process.where = at;
  return true;
}

}  // namespace wirespan
