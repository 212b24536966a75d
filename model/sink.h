// A stage knows the next one only as this. Called on the pipeline's thread; never blocks.
#pragma once

namespace wirespan {

template <class T>
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void accept(const T& item) = 0;
};

}  // namespace wirespan
