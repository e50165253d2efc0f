#include "net/lookup.h"

#include <algorithm>
#include <system_error>
#include <thread>

#include "base/signals.h"
#include "net/failure.h"

namespace kling::net {
namespace {

constexpr std::size_t kMostAddresses = 6;

struct PendingLookUp {
  std::mutex mutex;
  std::condition_variable wake;
  bool done = false;
  int code = 0;
  std::vector<std::string> addresses;
};

int ask(const std::string& host, LookUp look_up, std::vector<std::string>& addresses) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int code = look_up(host.c_str(), nullptr, &hints, &list);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  for (const addrinfo* entry = code == 0 ? list : nullptr; entry; entry = entry->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0,
                      NI_NUMERICHOST) == 0)
      addresses.emplace_back(text);
  }
  return code;
}

}  // namespace

Error address_not_allowed(const std::string& host) {
  return invalid(host + " has only addresses that are not allowed here (local or private)");
}

Result<std::vector<std::string>> addresses_of(const std::string& host, unsigned allowed,
                                              TimePoint deadline, const std::atomic<bool>* stop,
                                              LookUp look_up) {
  auto answer = std::make_shared<PendingLookUp>();
  if (is_numeric_address(host)) {
    answer->addresses = {host};
  } else {
    try {
      SignalBlock signals;
      std::thread([host, look_up, answer] {
        int code = EAI_MEMORY;
        std::vector<std::string> addresses;
        try {
          code = ask(host, look_up, addresses);
        } catch (const std::exception&) {
        }
        std::lock_guard lock(answer->mutex);
        answer->code = code;
        answer->addresses = std::move(addresses);
        answer->done = true;
        answer->wake.notify_all();
      }).detach();
    } catch (const std::system_error&) {
      return failure(Kind::network, "no thread can be started to look up the name " + host,
                     "raise the limit of threads or of memory that this program has");
    }
    std::unique_lock lock(answer->mutex);
    while (!answer->done && std::chrono::steady_clock::now() < deadline && !(stop && *stop))
      answer->wake.wait_for(lock, std::chrono::milliseconds(20));
    if (!answer->done)
      return failure(Kind::network, "the look-up of the name " + host + " did not end in time",
                     "check the network and its name server");
  }
  std::lock_guard lock(answer->mutex);
  if (answer->addresses.empty())
    return failure(Kind::network,
                   "the name " + host + " was not found: " + ::gai_strerror(answer->code),
                   "check the network and the spelling of the host");
  std::vector<std::string>& found = answer->addresses;
  std::erase_if(found, [&](const std::string& a) { return (reach_of_address(a) & allowed) == 0; });
  if (found.empty()) return address_not_allowed(host);
  found.resize(std::min(found.size(), kMostAddresses));
  return std::move(found);
}

}  // namespace kling::net
