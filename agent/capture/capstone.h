// libcapstone, loaded when the first Python, Go or tokio process is to be understood: it is 3 MB.
#pragma once

#include <capstone/capstone.h>

#include "base/result.h"

namespace wirespan {

// Its functions by their names there, less `cs_`.
struct Capstone {
  // The one of this process; any thread. Error: it is not installed, or of another major version than the one this was
  // built with, whose structures differ.
  [[nodiscard]] static Result<const Capstone*> load();

  decltype(&::cs_open) open;
  decltype(&::cs_close) close;
  decltype(&::cs_option) option;
  decltype(&::cs_malloc) malloc;
  decltype(&::cs_free) free;
  decltype(&::cs_disasm_iter) disasm_iter;
  decltype(&::cs_insn_group) insn_group;
  decltype(&::cs_regs_access) regs_access;
};

}  // namespace wirespan
