// Lines of the public span files and their fields, the truth among them: for tests and benches only.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <string>
#include <vector>

namespace wirespan::inference::testing {

inline std::string field(const std::string& line, const std::string& name) {
  const std::size_t at = line.find("\"" + name + "\"");
  if (at == std::string::npos) return {};
  std::size_t i = line.find(':', at) + 1;
  while (line[i] == ' ') ++i;
  if (line[i] != '"') return line.substr(i, line.find_first_of(",}", i) - i);
  return line.substr(i + 1, line.find('"', i + 1) - i - 1);
}

inline std::vector<std::string> lines_of(const std::string& path) {
  gzFile f = gzopen(path.c_str(), "rb");
  std::string text;
  std::string part(1U << 20U, '\0');
  int n = 0;
  while ((n = gzread(f, part.data(), static_cast<unsigned>(part.size()))) > 0)
    text.append(part, 0, static_cast<std::size_t>(n));
  gzclose(f);
  std::vector<std::string> out;
  for (std::size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    if (end > at) out.push_back(text.substr(at, end - at));
  }
  return out;
}

}  // namespace wirespan::inference::testing
