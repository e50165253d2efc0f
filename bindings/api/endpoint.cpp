#include "api/endpoint.h"

#include <algorithm>

#include "api/text.h"

namespace kling::api {

std::vector<Endpoint> make_endpoints();  // table.cpp
namespace {

/// Edits between two words: insertions, deletions, changes, and swapped neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::span<const Endpoint> endpoints() {
  // Never destroyed, as nothing in these floors is: a worker may outlive main().
  static const auto* const rows = new std::vector<Endpoint>(make_endpoints());
  return *rows;
}

const Endpoint* find_endpoint(std::string_view name) {
  for (const Endpoint& endpoint : endpoints())
    if (endpoint.name == name || endpoint.kind == name ||
        std::ranges::find(endpoint.aliases, name) != endpoint.aliases.end())
      return &endpoint;
  return nullptr;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& choices) {
  if (word.size() > 64) return {};
  const std::string wanted = lower(word);
  std::size_t best = std::clamp<std::size_t>(wanted.size() / 3, 1, 3) + 1;
  std::string nearest;
  for (const std::string& choice : choices) {
    const std::size_t distance = edit_distance(wanted, lower(choice));
    if (distance < best && distance < wanted.size()) {
      best = distance;
      nearest = choice;
    }
  }
  return nearest;
}

Error to_error(const Endpoint& endpoint, const std::vector<Finding>& findings) {
  std::vector<const Finding*> told;
  for (const Finding& finding : findings)
    if (finding.level == Finding::Level::error) told.push_back(&finding);
  if (told.empty())
    for (const Finding& finding : findings) told.push_back(&finding);

  Error error;
  error.kind = Kind::invalid;
  error.field = told.front()->field;
  error.hint = told.front()->hint;
  for (const Finding* finding : told)
    error.message += (error.message.empty() ? endpoint.name + ": " : "; ") + finding->message;
  return error;
}

}  // namespace kling::api
