// kling man: the manual pages that `./dev docs` has written.
#include <memory>

#include "cli/command.h"

namespace kling {
extern const std::string_view kManProgram, kManModule;  // docs/man
}

std::function<int()> kling::cli::set_up_man(CLI::App& app) {
  auto section = std::make_shared<std::string>("1");
  app.add_option("section", *section, "1: the program; 3lua: the module")
      ->check(CLI::IsMember({"1", "3lua"}))
      ->capture_default_str();
  app.footer("Example: kling man 3lua\nTo read it: kling man | man -l -");
  return [section] { return print(*section == "1" ? kManProgram : kManModule); };
}
