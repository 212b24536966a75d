// A stage knows the next one only as this. Called on the pipeline's thread; never blocks.
#pragma once

namespace wirespan {

template <class T>
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void accept(const T& item) = 0;
  // The same for an item its owner no longer needs: what is left in it is valid and unspecified.
  virtual void take(T&& item) { accept(item); }
};

}  // namespace wirespan
