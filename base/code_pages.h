// How much of the memory a process has mapped is counted as its own.
#pragma once

namespace wirespan {

// Gives the pages of code and constants of this process and of its libraries back to the page cache: what start-up and
// a look at a program needed once (parsing options, libbpf, a disassembler) is most of them. What runs is mapped again
// as it is reached, sixteen pages at a fault. Pages that were written to (relocated tables, data) stay. Any thread.
void release_code_pages();

}  // namespace wirespan
