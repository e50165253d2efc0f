#include "base/leaving.h"

#include <atomic>
#include <cstdlib>
#include <list>
#include <vector>

#include <openssl/crypto.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/clock.h"

namespace kling {
namespace {

constexpr std::chrono::seconds kLastWait{2};

/// Who makes a child is the writer, and goes first: threads come here all the time.
constexpr pthread_rwlock_t kOpenGate = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
pthread_rwlock_t fork_gate = kOpenGate;

/// Never destroyed: threads come here until the process has gone.
struct Registry {
  std::mutex mutex;
  std::list<std::weak_ptr<EndThreads>> ends, of_parent;
  std::list<std::weak_ptr<Descriptor>> unshared;
  Birthplace home;

  static Registry& all() {
    static auto* const made = [] {
      ::OPENSSL_init_crypto(OPENSSL_INIT_ADD_ALL_DIGESTS, nullptr);  // its exit handler runs later
      end_threads_first();
      // A child is made while nobody else is in here, so that it finds the lists whole, nor in
      // OpenSSL.
      ::pthread_atfork(
          [] {
            all().mutex.lock();
            ::pthread_rwlock_wrlock(&fork_gate);
          },
          [] {
            ::pthread_rwlock_unlock(&fork_gate);
            all().mutex.unlock();
          },
          [] {
            fork_gate = kOpenGate;  // its holder has another number here
            all().forget();
            all().mutex.unlock();
          });
      return new Registry;
    }();
    return *made;
  }

  template <class T>
  static void add(std::list<std::weak_ptr<T>>& list, const std::shared_ptr<T>& item) {
    std::erase_if(list, [](const auto& other) { return other.expired(); });
    list.push_back(item);
  }

  void leave() {
    if (!home.is_here()) return;  // a child by a bare system call
    std::vector<std::shared_ptr<EndThreads>> living;
    {
      std::lock_guard lock(mutex);
      for (const auto& end : ends)
        if (auto alive = end.lock()) living.push_back(std::move(alive));
    }
    const auto now = Steady::now();
    for (const auto until : {now, now + kLastWait})
      for (const auto& end : living) (*end)(until);
  }

  /// In a forked child, which may hold locks of threads that it does not have: no memory is freed.
  void forget() {
    for (const auto& file : unshared)
      if (const auto open = file.lock()) open->reset();
    home = {};
    of_parent.splice(of_parent.end(), ends);
  }
};

}  // namespace

std::shared_ptr<void> at_exit(EndThreads end) {
  auto made = std::make_shared<EndThreads>(std::move(end));
  std::lock_guard lock(Registry::all().mutex);
  Registry::add(Registry::all().ends, made);
  return made;
}

void end_threads_first() {
  std::atexit([] { Registry::all().leave(); });
}

NoFork::NoFork() { ::pthread_rwlock_rdlock(&fork_gate); }
NoFork::~NoFork() { ::pthread_rwlock_unlock(&fork_gate); }

UnsharedDescriptor::UnsharedDescriptor(const std::function<Descriptor()>& open)
    : file_(std::make_shared<Descriptor>()) {
  std::lock_guard lock(Registry::all().mutex);
  Registry::add(Registry::all().unshared, file_);
  *file_ = open();
}

/// Asked at each call into the library, so it is kept in a page that the kernel empties in a child.
pid_t Birthplace::present() {
  static std::atomic<pid_t>* const kept = [] {
    void* page = ::mmap(nullptr, sizeof(std::atomic<pid_t>), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool emptied = page != MAP_FAILED && ::madvise(page, sizeof *kept, MADV_WIPEONFORK) == 0;
    return emptied ? static_cast<std::atomic<pid_t>*>(page) : nullptr;
  }();
  if (kept == nullptr) return ::getpid();
  if (*kept == 0) *kept = ::getpid();
  return *kept;
}
bool Birthplace::is_here() const { return process_ == present(); }

}  // namespace kling
