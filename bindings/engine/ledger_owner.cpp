#include "engine/ledger_owner.h"

#include <sys/stat.h>

namespace kling::engine {

Owner::Owner(const std::string& ledger)
    : folder_([&]() -> std::string {
        std::error_code code;
        const auto file = std::filesystem::canonical(ledger, code);
        return ledger.empty() ? "" : (code ? ledger : file.string()) + ".owners";
      }()) {}

Owner::~Owner() {
  if (lock_) ::unlink(lock_path(id_).c_str());
}

void Owner::enter(Database& database) {
  if (folder_.empty()) return;
  if (!lock_) {
    ::mkdir(folder_.c_str(), 0700);  // a failure shows in the lock
    lock_ = take_lock(database, id_);
    std::vector<std::string> others;
    for (Query query(database, "SELECT id FROM owners"); query.next();)
      query >> others.emplace_back();
    for (const std::string& other : others)
      if (!lives(database, other)) database.run("DELETE FROM owners WHERE id = ?", other);
  }
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  // Each time, as the transaction of the first time may have failed.
  database.run("INSERT INTO owners (id, pid, host) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
               id_, int(::getpid()), host);
}

bool Owner::lives(Database& database, const std::string& owner) {
  // Only names that we make: the ledger's content must not lead to other paths.
  const bool named_by_us = owner.size() == id_.size() &&
                           owner.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!named_by_us || folder_.empty()) return false;
  if (owner == id_ || !take_lock(database, owner)) return true;
  ::unlink(lock_path(owner).c_str());
  return false;
}

/// None when another holder has it, and after a failure.
UnsharedDescriptor Owner::take_lock(Database& database, const std::string& owner) {
  auto lock = try_lock(lock_path(owner));
  if (lock) return std::move(*lock);
  database.fail(ledger_error(lock.error().message, "locks must work where the ledger is"));
  return {};
}

}  // namespace kling::engine
