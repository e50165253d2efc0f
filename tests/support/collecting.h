// A mode of the Lua suites: full collections at allocations that a seed draws. KLING_COLLECT=SEED
// turns it on in every state of the fixtures, so that finalizers run where no script can place
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <lua.hpp>

namespace kling::test {

class Collecting {
 public:
  /// The memory of a state. `data` is a Collecting.
  static void* allocate(void* data, void* block, std::size_t old_size, std::size_t size) {
    if (size == 0) return std::free(block), nullptr;
    auto& self = *static_cast<Collecting*>(data);
    if (self.state_ != nullptr && (block == nullptr || size > old_size)) self.draw();
    return std::realloc(block, size);
  }

  /// From now on, when the environment or `seed` asks for it.
  void begin(lua_State* L, std::uint32_t seed = 0) {
    const char* given = std::getenv("KLING_COLLECT");
    if (seed == 0 && given != nullptr) seed = static_cast<std::uint32_t>(std::atoi(given));
    if (seed == 0) return;
    // A step is a whole cycle, and by themselves they are rare.
    lua_gc(L, LUA_GCINC, 1000, 1000, 60);
    random_ = seed;
    state_ = L;
  }
  void end() { state_ = nullptr; }
  long collections() const { return collections_; }

 private:
  void draw() {
    random_ ^= random_ << 13, random_ ^= random_ >> 17, random_ ^= random_ << 5;  // xorshift
    if (random_ % kOneOf != 0) return;
    ++collections_;
    // The collector is due at the next look: an allocator may not collect by itself.
    lua_gc(state_, LUA_GCRESTART);
  }

  static constexpr std::uint32_t kOneOf = 23;
  lua_State* state_ = nullptr;
  std::uint32_t random_ = 1;
  long collections_ = 0;
};

}  // namespace kling::test
