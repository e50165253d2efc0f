// Who may act on an open step: this ledger object, known to other processes by a lock file that
// the kernel frees when the process dies. In memory there are no others. Guarded by the ledger's
// mutex; every call blocks on the disk.
#pragma once

#include "base/digest.h"
#include "base/files.h"
#include "engine/ledger_database.h"

namespace kling::engine {

class Owner {
 public:
  /// `ledger`: the file, which is there; empty for ":memory:". However it is spelled, and whatever
  /// links lead to it, its owners' locks lie beside it.
  explicit Owner(const std::string& ledger);
  ~Owner();

  const std::string& id() const { return id_; }
  /// Makes this owner visible before its first intent, and forgets those that died. Inside a
  /// write transaction, which fails with this.
  void enter(Database& database);
  /// Whether another process holds this owner's lock. Removes the lock file of a dead one.
  bool lives(Database& database, const std::string& owner);

 private:
  std::string lock_path(const std::string& owner) const { return folder_ + "/" + owner; }
  UnsharedDescriptor take_lock(Database& database, const std::string& owner);

  const std::string folder_;
  const std::string id_ = random_hex(16);
  UnsharedDescriptor lock_;
};

}  // namespace kling::engine
