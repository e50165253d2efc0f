#include "lua/safe/limits.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace kling::lua {
namespace {

constexpr int kInterval = 1000;                  ///< instructions between two looks
constexpr int kFirstLook = 100;                  ///< of a new thread; and what a switch counts
constexpr int kStopped = 1;                      ///< marks a thread that the hook has ended
constexpr std::size_t kLargeBlock = 256u << 10;  ///< from here on looks come closer

/// A concatenation or comparison is one instruction of any length: the larger the largest value,
/// the fewer instructions may pass unseen.
int interval(const Meter& meter) {
  const std::size_t pieces = 1 + 4 * (meter.largest / kLargeBlock);
  return std::max<int>(2, int(kInterval / pieces));
}

void hook(lua_State* L, lua_Debug* frame);

void* allocate(void* data, void* block, std::size_t old_size, std::size_t new_size) {
  auto& meter = *static_cast<Meter*>(data);
  const std::size_t before = block ? old_size : 0;  // else it is the type of a new value
  const auto look_soon = [&] {
    if (meter.current != nullptr && lua_gethookcount(meter.current) != kStopped)
      lua_sethook(meter.current, hook, LUA_MASKCOUNT, 2);
  };
  if (new_size > before) {
    const std::size_t outside = *meter.outside;
    if (meter.used + outside + (new_size - before) > meter.limits.memory_bytes) {
      look_soon();  // the collector has run, or will: that is work, too
      return nullptr;
    }
    if (new_size > meter.largest && new_size >= kLargeBlock) {
      meter.largest = new_size;
      look_soon();
    }
  }
  void* result = nullptr;
  if (meter.limits.allocate != nullptr) {
    result = meter.limits.allocate(meter.limits.allocate_data, block, old_size, new_size);
  } else if (new_size == 0) {
    std::free(block);
  } else {
    result = std::realloc(block, new_size);
  }
  if (result == nullptr && new_size != 0) return nullptr;
  meter.used = meter.used - before + new_size;
  if (meter.open && meter.used == 0) delete &meter;
  return result;
}

std::int64_t ran_us(const Meter& meter) {
  return meter.ran_us + (meter.slices > 0 ? steady_us() - meter.since_us : 0);
}

void look(Meter& meter) {
  if (meter.why[0] != '\0') return;
  const Limits& limits = meter.limits;
  if (limits.instructions != 0 && meter.instructions > limits.instructions) {
    std::snprintf(meter.why, sizeof meter.why, "the script used up its %llu instructions",
                  static_cast<unsigned long long>(limits.instructions));
  } else if (limits.wall_ms != 0 && ran_us(meter) > limits.wall_ms * 1000) {
    std::snprintf(meter.why, sizeof meter.why, "the script ran longer than %g seconds",
                  static_cast<double>(limits.wall_ms) / 1000);
  }
}

/// Raises, with the line that ran first, and lets nothing on this thread go on after it.
[[noreturn]] void stop(lua_State* L, Meter& meter) {
  lua_sethook(L, hook, LUA_MASKCOUNT, kStopped);
  lua_Debug frame;
  for (int level = 0; meter.told[0] == '\0'; ++level) {
    const bool more = lua_getstack(L, level, &frame) != 0;
    if (more) lua_getinfo(L, "Sl", &frame);
    if (more && (frame.currentline <= 0 || std::strcmp(frame.source, "=[kling]") == 0)) continue;
    if (more)
      std::snprintf(meter.told, sizeof meter.told, "%s:%d: %s", frame.short_src, frame.currentline,
                    meter.why);
    else
      std::snprintf(meter.told, sizeof meter.told, "%s", meter.why);
  }
  lua_pushstring(L, meter.told);
  lua_error(L);
  std::abort();  // lua_error does not return
}

void hook(lua_State* L, lua_Debug*) {
  Meter& meter = *meter_of(L);
  meter.instructions += std::uint64_t(lua_gethookcount(L));
  look(meter);
  if (meter.why[0] != '\0') stop(L, meter);
  const int next = interval(meter);
  if (lua_gethookcount(L) != next) lua_sethook(L, hook, LUA_MASKCOUNT, next);
}

}  // namespace

Meter* meter_of(lua_State* L) {
  void* data = nullptr;
  return lua_getallocf(L, &data) == allocate ? static_cast<Meter*>(data) : nullptr;
}

lua_State* new_limited_state(const Limits& limits) {
  auto meter = std::make_unique<Meter>();
  meter->limits = limits;
  lua_State* L = lua_newstate(allocate, meter.get());
  if (L == nullptr) return nullptr;
  meter->open = true;
  // Before any thread is made: each inherits it from the one that makes it.
  lua_sethook(L, hook, LUA_MASKCOUNT, kInterval);
  (void)meter.release();  // the state's last byte frees it
  return L;
}

const char* stopped(lua_State* L) {
  if (!is_stopped(L)) return nullptr;
  const Meter& meter = *meter_of(L);
  return meter.told[0] != '\0' ? meter.told : meter.why;
}

int stop_again(lua_State* L) { stop(L, *meter_of(L)); }

void refill(lua_State* L) {
  Meter* meter = meter_of(L);
  if (meter == nullptr) return;
  meter->instructions = 0;
  meter->ran_us = 0;
  meter->since_us = steady_us();
  meter->why[0] = meter->told[0] = '\0';
  lua_sethook(L, hook, LUA_MASKCOUNT, interval(*meter));
}

Slice::Slice(lua_State* L) : L_(L) {
  Meter* meter = meter_of(L);
  if (meter == nullptr || meter->slices++ > 0) return;
  meter->since_us = steady_us();
  meter->current = L;
}

Slice::~Slice() {
  Meter* meter = meter_of(L_);
  if (meter == nullptr || --meter->slices > 0) return;
  meter->ran_us += steady_us() - meter->since_us;
  meter->current = nullptr;
}

lua_State* enter_thread(lua_State* L, lua_State* thread) {
  Meter* meter = meter_of(L);
  if (meter == nullptr) return nullptr;
  meter->instructions += kFirstLook;
  look(*meter);
  lua_Debug frame;
  if (thread != nullptr && meter->why[0] != '\0') {
    lua_sethook(thread, hook, LUA_MASKCOUNT, kStopped);
  } else if (thread != nullptr && lua_status(thread) == LUA_OK &&
             lua_getstack(thread, 0, &frame) == 0) {
    // It begins, with a count of its own: work in many short threads would go unseen.
    lua_sethook(thread, hook, LUA_MASKCOUNT, std::min(kFirstLook, interval(*meter)));
  }
  lua_State* before = meter->current;
  meter->current = thread;
  return before;
}

void charge(lua_State* L, std::uint64_t steps) {
  count_work(L, steps);
  if (is_stopped(L)) stop(L, *meter_of(L));
}

void count_work(lua_State* L, std::uint64_t steps) {
  Meter* meter = meter_of(L);
  if (meter == nullptr) return;
  meter->instructions += steps;
  look(*meter);
  if (meter->why[0] != '\0') lua_sethook(L, hook, LUA_MASKCOUNT, kStopped);
}

void charge_elements(lua_State* L, lua_Integer count) {
  if (count <= 0) return;
  if (count > kMostElements) luaL_error(L, "too many elements for a safe script");
  charge(L, std::uint64_t(count));
}

std::size_t memory_left(lua_State* L) {
  const Meter* meter = meter_of(L);
  if (meter == nullptr) return std::size_t{1} << 30;
  const std::size_t taken = meter->used + *meter->outside;
  return taken < meter->limits.memory_bytes ? meter->limits.memory_bytes - taken : 0;
}

void hold_memory(lua_State* L, std::size_t bytes, std::shared_ptr<void>& token) {
  Meter* meter = meter_of(L);
  if (meter == nullptr || bytes < 64) return;
  if (bytes > memory_left(L)) lua_gc(L, LUA_GCCOLLECT);
  charge(L, bytes / 16);
  if (bytes > memory_left(L)) luaL_error(L, "not enough memory");
  pure(L, [&] {
    const auto count = meter->outside;
    *count += bytes;  // first: taken back also when the next line finds no memory
    token = std::shared_ptr<void>(count.get(), [count, bytes](void*) { *count -= bytes; });
  });
}

}  // namespace kling::lua
