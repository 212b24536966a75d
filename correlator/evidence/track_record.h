// How often what an evidence rests on held in a process, and how often not; old observations fade, by halves whenever
// there are `most` of them.
#pragma once

namespace wirespan {

struct TrackRecord {
  float held = 0;
  float failed = 0;
  void add(bool right, float weight = 1, float most = 4096) {
    (right ? held : failed) += weight;
    if (held + failed < most) return;
    held /= 2;
    failed /= 2;
  }
  [[nodiscard]] bool trusted(float proven = 16, float rare = 100) const {
    return held >= proven && failed * rare <= held;
  }
};

}  // namespace wirespan
