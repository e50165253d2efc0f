// Options that stand behind the script, where nobody reads them: `kling run film.lua --sim` must
// not become a paid run. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace kling::cli {

/// `words`: what `app` (run or plan) left unread, the script first. Takes the first "--" away,
/// behind which every word is the script's. Returns what is wrong, with the right order; empty:
/// nothing is.
std::string take_slips(const CLI::App& app, std::vector<std::string>& words);

}  // namespace kling::cli
