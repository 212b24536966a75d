#include "agent/capture/capstone.h"

#include "base/late_library.h"

namespace wirespan {
namespace {

#define WS_TEXT_OF(what) #what
#define WS_TEXT(macro) WS_TEXT_OF(macro)
#define WS_SONAME "libcapstone.so." WS_TEXT(CS_API_MAJOR)

[[gnu::section(".note.dlopen"), gnu::used]] alignas(4) constexpr DlopenNote kNote{
    R"([{"feature":"python","description":"whose task a call of Python, Go or tokio is made for","priority":"recommended","soname":[")" WS_SONAME
    R"("]}])"};

Result<const Capstone*> load_once() {
  const auto library = LateLibrary::open({WS_SONAME});
  if (!library) return library.error();
  static Capstone capstone{};
  for (const Status& status :
       {library->find("cs_open", capstone.open), library->find("cs_close", capstone.close),
        library->find("cs_option", capstone.option), library->find("cs_malloc", capstone.malloc),
        library->find("cs_free", capstone.free), library->find("cs_disasm_iter", capstone.disasm_iter),
        library->find("cs_insn_group", capstone.insn_group), library->find("cs_regs_access", capstone.regs_access)}) {
    if (!status) return status.error();
  }
  return &capstone;
}

}  // namespace

Result<const Capstone*> Capstone::load() {
  static const Result<const Capstone*> loaded = load_once();
  return loaded;
}

}  // namespace wirespan
