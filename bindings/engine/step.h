// The address of a step: what makes two requests the same paid thing. Pure; any thread. Not what
// is sent: defaults, keys, ports, signatures and bytes of derived media do not count.
#pragma once

#include "api/request.h"

namespace kling::engine {

/// What a picture or clip counts as in an address, by MediaInput's index.
using Identities = std::vector<std::string>;

/// The canonical text of a normalized request: JSON with sorted keys of version, service, endpoint,
/// the fields the user wrote (numbers that are whole without a fraction; callback_url and
/// external_task_id left out, as are empty top-level fields, which are not sent; media replaced by
/// their identities), extra and take.
/// `script_take` is the run's `--take`; empty: none.
std::string canonical_step(std::string_view service, const api::Request& request,
                           const Identities& identities, std::string_view script_take);

/// 64 hex digits. Versioned and frozen by golden vectors: a change makes people pay again.
std::string step_digest(std::string_view canonical);

/// 32 hex digits: the digest with its ordinal among equal requests.
std::string step_address(std::string_view digest, int ordinal);

/// The id we send so that a lost answer can be found again: `prefix`-`address`-`attempt`, at most
/// 64 characters.
std::string external_id(std::string_view prefix, std::string_view address, int attempt);

/// "last frame of step X" and the like: stable names of derived media.
std::string origin_last_frame(std::string_view address, int video);
std::string origin_frame(std::string_view address, int video, double seconds);
std::string origin_video(std::string_view address, int video);

/// "kling:text2video/861309…" or, before acceptance, "kling:text2video/~<external id>".
struct Handle {
  std::string endpoint;  ///< empty when only a bare id was given
  std::string task_id;   ///< empty when external_id is set
  std::string external_id;
};
std::string to_string(const Handle& handle);
/// Reads a handle or a bare id. Error (invalid) names the form expected.
Result<Handle> parse_handle(std::string_view text);
/// The same, and what is none as a bare id: a ledger may know it as a shot's name. It is asked of
/// no service.
Handle named_handle(const std::string& text);

}  // namespace kling::engine
