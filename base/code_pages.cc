#include "base/code_pages.h"

#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace wirespan {
namespace {

int release_object(dl_phdr_info* info, std::size_t, void* page_size) {
  const std::uintptr_t page = *static_cast<const std::uintptr_t*>(page_size);
  const std::uintptr_t kernels_own = getauxval(AT_SYSINFO_EHDR);  // the vDSO: no file stands behind it
  for (const ElfW(Phdr)* segment = info->dlpi_phdr; segment != info->dlpi_phdr + info->dlpi_phnum; ++segment) {
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) continue;
    const std::uintptr_t start = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
    const std::uintptr_t end = (info->dlpi_addr + segment->p_vaddr + segment->p_memsz + page - 1) & ~(page - 1);
    if (start == kernels_own) continue;
    madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);  // NOLINT(*-reinterpret-cast,*-int-to-ptr)
  }
  return 0;
}

}  // namespace

void release_code_pages() {
  auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  dl_iterate_phdr(release_object, &page);
}

}  // namespace wirespan
