#include "agent/capture/node_executable.h"

#include <array>
#include <cerrno>
#include <cstring>

#include "agent/capture/elf_file.h"

namespace wirespan {
namespace {

using Role = std::vector<std::uint64_t> NodeExecutable::*;

struct Function {
  const char* symbol;
  Role role;
  bool needed;  // without it contexts would be taken for others
};

constexpr std::array kFunctions{
    // node::Environment::RunTimers(uv_timer_s*), CheckImmediate(uv_check_s*)
    Function{"_ZN4node11Environment9RunTimersEP10uv_timer_s", &NodeExecutable::begins, true},
    Function{"_ZN4node11Environment14CheckImmediateEP10uv_check_s", &NodeExecutable::begins, true},
    Function{"uv__work_done", &NodeExecutable::begins, true},
    Function{"uv__async_io", &NodeExecutable::begins, false},  // messages of other threads
    // node::fs::FSReqAfterScope: results of the file system, one after the other
    Function{"_ZN4node2fs15FSReqAfterScopeC1EPNS0_9FSReqBaseEP7uv_fs_s", &NodeExecutable::begins, false},
    // node::ConnectionWrap<TCPWrap, uv_tcp_s>::OnConnection, AfterConnect, and those of pipes
    Function{"_ZN4node14ConnectionWrapINS_7TCPWrapE8uv_tcp_sE12OnConnectionEP11uv_stream_si", &NodeExecutable::begins,
             true},
    Function{"_ZN4node14ConnectionWrapINS_7TCPWrapE8uv_tcp_sE12AfterConnectEP12uv_connect_si", &NodeExecutable::begins,
             true},
    Function{"_ZN4node14ConnectionWrapINS_8PipeWrapE9uv_pipe_sE12OnConnectionEP11uv_stream_si", &NodeExecutable::begins,
             false},
    Function{"_ZN4node14ConnectionWrapINS_8PipeWrapE9uv_pipe_sE12AfterConnectEP12uv_connect_si",
             &NodeExecutable::begins, false},
    // node::TCPWrap::New
    Function{"_ZN4node7TCPWrap3NewERKN2v820FunctionCallbackInfoINS1_5ValueEEE", &NodeExecutable::makes, true},
    // node::AsyncWrap::AsyncReset, as called by JavaScript: http.Agent gives a kept socket to the next request
    Function{"_ZN4node9AsyncWrap10AsyncResetERKN2v820FunctionCallbackInfoINS1_5ValueEEE", &NodeExecutable::makes,
             false},
    // What JavaScript asks for the time when it sets a timer (and the loop's own hardly ever):
    // node::timers::BindingData::FastGetLibuvNow and SlowGetLibuvNow; node::(anonymous namespace)::GetLibuvNow before
    // 20
    Function{"_ZN4node6timers11BindingData15FastGetLibuvNowEN2v85LocalINS2_6ObjectEEE", &NodeExecutable::sets, false},
    Function{"_ZN4node6timers11BindingData15SlowGetLibuvNowERKN2v820FunctionCallbackInfoINS2_5ValueEEE",
             &NodeExecutable::sets, false},
    Function{"_ZN4node12_GLOBAL__N_111GetLibuvNowERKN2v820FunctionCallbackInfoINS1_5ValueEEE", &NodeExecutable::sets,
             false},
    // v8::Promise::Resolver::Resolve and Reject: promises that C++ made
    Function{"_ZN2v87Promise8Resolver7ResolveENS_5LocalINS_7ContextEEENS2_INS_5ValueEEE", &NodeExecutable::resolves,
             true},
    Function{"_ZN2v87Promise8Resolver6RejectENS_5LocalINS_7ContextEEENS2_INS_5ValueEEE", &NodeExecutable::resolves,
             false},
    // what `new Promise((resolve, reject) => ...)` is given
    Function{"Builtins_PromiseCapabilityDefaultResolve", &NodeExecutable::resolves, true},
    Function{"Builtins_PromiseCapabilityDefaultReject", &NodeExecutable::resolves, false},
};

}  // namespace

Result<NodeExecutable> read_node_executable(const std::string& path) {
  auto file = ElfFile::open(path);
  if (!file) return file.error();
  std::array<std::uint64_t, kFunctions.size()> found{};
  (*file)->visit_all_symbols([&](const char* name, const GElf_Sym& symbol) {
    if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC) return;
    for (std::size_t f = 0; f < kFunctions.size(); ++f) {
      if (std::strcmp(name, kFunctions[f].symbol) == 0) found[f] = symbol.st_value;
    }
  });
  NodeExecutable out;
  for (std::size_t f = 0; f < kFunctions.size(); ++f) {
    const Function& function = kFunctions[f];
    const std::uint64_t offset = found[f] == 0 ? 0 : (*file)->offset_of(found[f]);
    if (offset != 0) {
      (out.*function.role).push_back(offset);
    } else if (function.needed) {
      return Error{std::string("stripped of its symbols: ") + function.symbol + " is not there", ENOTSUP, {}};
    }
  }
  return out;
}

}  // namespace wirespan
