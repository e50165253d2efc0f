// What the program's --help shows of its commands.
#pragma once

#include <regex>

#include "cli/program.h"

namespace kling::test {

inline std::string help_of(const Stage& stage, std::vector<std::string> words) {
  words.push_back("--help");
  return stage.run(std::move(words)).out;
}

/// The names of the commands that a help lists.
inline std::vector<std::string> commands_in(const std::string& help) {
  std::vector<std::string> names;
  const std::size_t from = help.find("Subcommands:");
  if (from == std::string::npos) return names;
  std::istringstream lines(help.substr(help.find('\n', from) + 1));
  const std::regex name("^  ([a-z0-9]+) .*");
  for (std::string line; std::getline(lines, line) && line.starts_with("  ");)
    if (std::smatch match; std::regex_match(line, match, name)) names.push_back(match[1].str());
  return names;
}

}  // namespace kling::test
