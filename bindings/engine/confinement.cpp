#include "engine/confinement.h"

#include <algorithm>

#include "api/text.h"
#include "base/files.h"

namespace kling::engine {
namespace {

Error outside(const std::string& path) {
  return {.message = "this script may not use the file " + path.substr(0, 200),
          .hint = "name a file below a folder that was allowed (--root DIR, or the option roots)"};
}

bool is_below(const fs::path& path, fs::path folder) {
  if (!folder.has_filename()) folder = folder.parent_path();  // "dir/" counts as "dir"
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

fs::path real(const std::string& folder) {
  if (folder.empty()) return {};
  std::error_code error;
  fs::path found = fs::weakly_canonical(folder, error);
  return error ? fs::path() : found;
}

/// Where `path` really lies, links followed; what does not exist yet is taken by its name.
Result<std::string> place(const Confinement& confinement, const std::string& path) {
  if (path.empty() || confinement.roots.empty() || path.find('\0') != std::string::npos)
    return outside(path);
  const fs::path asked = fs::path(real(confinement.roots.front())) / path;
  // Refused by itself: what ".." means behind a link that does not exist yet is not known.
  if (std::any_of(asked.begin(), asked.end(), [](const fs::path& p) { return p == ".."; }))
    return outside(path);
  std::error_code error;
  const fs::path found = fs::weakly_canonical(asked, error);
  // A link that leads nowhere is left as it is, and a writer would follow it.
  // Files of the system are none: reading one has effects, or tells of the process.
  if (error || is_below(found, "/proc") || is_below(found, "/sys") || is_below(found, "/dev") ||
      fs::is_symlink(found, error))
    return outside(path);
  const bool below =
      std::any_of(confinement.roots.begin(), confinement.roots.end(), [&](const std::string& root) {
        const fs::path folder = real(root);
        return !folder.empty() && is_below(found, folder);
      });
  if (!below) return outside(path);
  const std::string ledger = real(confinement.ledger).string();
  if ((!ledger.empty() && found.string().starts_with(ledger)) ||
      std::find(found.begin(), found.end(), ".kling") != found.end())
    return outside(path);
  return found.string();
}

}  // namespace

Result<std::string> readable(const Confinement& confinement, const std::string& path) {
  if (!confinement.on) return path;
  auto found = place(confinement, path);
  std::error_code error;
  // The same words for what is missing, so that nobody can look around by them.
  if (found && fs::exists(*found, error) && !fs::is_regular_file(*found, error))
    return outside(path);
  return found;
}

Result<std::string> writable(const Confinement& confinement, const std::string& path) {
  if (!confinement.on) return path;
  return place(confinement, path);
}

unsigned reach_allowed(const Confinement& confinement, const net::Origin& origin,
                       const net::Origin& service) {
  if (!confinement.on) return net::kAnywhere;
  // The host chose the service, so it chose what sort of address that has.
  if (origin == service) return net::kAnywhere;
  const unsigned reach = confinement.private_addresses ? net::kAnywhere : net::kPublic;
  if (confinement.hosts.empty()) return reach;
  const std::string shown =
      origin.host.find(':') == std::string::npos ? origin.host : "[" + origin.host + "]";
  for (const std::string& named : confinement.hosts)
    if (const std::string host = api::lower(named);
        host == origin.host || host == origin.name() ||
        host == shown + ":" + std::to_string(origin.port))
      // An address that is named is meant; a name may come to lead anywhere.
      return net::is_numeric_address(origin.host) || origin.host == "localhost"
                 ? reach | net::reach_of_host(origin.host)
                 : reach;
  return 0;
}

}  // namespace kling::engine
