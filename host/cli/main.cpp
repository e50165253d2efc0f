// The program `kling`: one table of subcommands.
#include <cstdio>
#include <exception>

#include "cli/command.h"

namespace {

constexpr kling::cli::Command kCommands[] = {
    {"run", "run a Lua script that generates clips", kling::cli::set_up_run},
    {"plan", "what a run of a script would submit and cost, without sending anything",
     kling::cli::set_up_plan},
    {"repl", "try things line by line", kling::cli::set_up_repl},
    {"query", "ask the service once about a job", kling::cli::set_up_query},
    {"jobs", "decide about jobs whose answer was lost", kling::cli::set_up_jobs},
    {"sim", "run the simulator as a server for any Kling client", kling::cli::set_up_sim},
    {"doctor", "check key, network, ffmpeg and ledger, and say what to do",
     kling::cli::set_up_doctor},
    {"version", "print the version", kling::cli::set_up_version},
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Lua workflows for Kling video generation: nothing paid twice, nothing lost",
               "kling");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n  kling doctor               is everything in place?\n"
      "  kling run --sim film.lua   rehearse a script: real clips, no money\n"
      "A first film.lua:\n  local kling = require \"kling\"\n"
      "  kling.text2video{ prompt = \"A lighthouse at dusk\" }:wait():save(\"shot.mp4\")");
  int code = kling::cli::kExitUsage;
  for (const auto& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.doc);
    // Built on use only: most of a short run would go into options nobody asked for.
    const bool wanted = argc > 1 && std::string_view(argv[1]) == command.name;
    if (!wanted) continue;
    sub->callback([run = command.set_up(*sub), &code] { code = run(); });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kling::cli::kExitDone : kling::cli::kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kling: %s\n", error.what());
    return kling::cli::kExitError;
  }
  return code;
}
