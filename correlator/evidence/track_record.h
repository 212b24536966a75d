// How often what an evidence rests on held in a process, and how often not; old observations fade.
#pragma once

namespace wirespan {

struct TrackRecord {
  float held = 0;
  float failed = 0;
  void add(bool right) {
    (right ? held : failed) += 1;
    if (held + failed < 4096) return;
    held /= 2;
    failed /= 2;
  }
  [[nodiscard]] bool trusted(float proven = 16, float rare = 100) const {
    return held >= proven && failed * rare <= held;
  }
};

}  // namespace wirespan
