// The page of a film: its data, from the ledger, and its files, which are host/view. Any thread;
// view_data() blocks on the disk.
#pragma once

#include <string>
#include <string_view>

#include "cli/jobs.h"

namespace kling::cli {

/// Whose shots are shown.
struct ViewFilter {
  std::string script, take;  ///< empty: all; the script by its file name
  std::string run;           ///< in place of both: script and take as the ledger has them
};

/// The shots oldest first, with the names of host/view/view.js; `ledger` may be null. "clip" of
/// each is left to whoever knows where the page finds it; "path" is there.
Result<nlohmann::json> view_data(engine::Ledger* ledger, const ViewFilter& filter);
/// index.html; `live`: told by a running program, not by data.js.
std::string view_page(bool live);
/// Shows the file or address in the desktop's browser.
void open_in_browser(const Voice& voice, const std::string& target);

}  // namespace kling::cli
