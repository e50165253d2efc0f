// The program `kling`: one table of subcommands.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <fcntl.h>

#include "api/endpoint.h"
#include "cli/command.h"

namespace {

constexpr kling::cli::Command kCommands[] = {
    {"run", "run a Lua script that generates clips", kling::cli::set_up_run},
    {"plan", "what a run of a script would submit and cost, without sending anything",
     kling::cli::set_up_plan},
    {"repl", "try things line by line", kling::cli::set_up_repl},
    {"query", "ask the service once about a job", kling::cli::set_up_query},
    {"jobs", "list the ledger's jobs, wait for them, save their clips, decide about lost answers",
     kling::cli::set_up_jobs},
    {"sim", "run the simulator as a server for any Kling client", kling::cli::set_up_sim},
    {"doctor", "check key, network, ffmpeg and ledger, and say what to do",
     kling::cli::set_up_doctor},
    {"init", "make a small project to start from", kling::cli::set_up_init},
    {"types", "write the module's types for editors and luacheck", kling::cli::set_up_types},
    {"completion", "print the completion script of a shell", kling::cli::set_up_completion},
    {"man", "print the manual page", kling::cli::set_up_man},
    {"version", "print the version", kling::cli::set_up_version},
};

void set_up(CLI::App& app, int& code, std::string_view only) {
  app.name("kling");
  app.description("Lua workflows for Kling video generation: nothing paid twice, nothing lost");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n  kling doctor               is everything in place?\n"
      "  kling run --sim film.lua   rehearse a script: real clips, no money\n"
      "A first film.lua:\n  local kling = require \"kling\"\n"
      "  kling.text2video{ prompt = \"A lighthouse at dusk\" }:wait():save(\"shot.mp4\")");
  kling::cli::add_commands(app, kCommands, code, only);
}

}  // namespace

void kling::cli::describe_program(CLI::App& app) {
  static int code;
  set_up(app, code, "");
}

int main(int argc, char** argv) {
  // Closed, they would become a connection's or the ledger's, and what is printed go there.
  for (int stream = 0; stream < 3; ++stream)
    if (::fcntl(stream, F_GETFD) < 0) (void)::open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
  // A parent's ways are inherited: "ignore" would lose ffmpeg's end, and what its thread blocked
  // neither we nor what a script starts would hear.
  std::signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  CLI::App app;
  int code = kling::cli::kExitUsage;
  // A word that is no command matches none: the help lists them without their options.
  set_up(app, code, argc > 1 && argv[1][0] != '\0' ? argv[1] : "-");
  if (argc == 1) {
    std::fputs(app.help().c_str(), stderr);
    return code;
  }
  std::vector<std::string> names;
  for (const auto& command : kCommands) names.emplace_back(command.name);
  if (argv[1][0] != '-' && std::find(names.begin(), names.end(), argv[1]) == names.end()) {
    const std::string near = kling::api::did_you_mean(argv[1], names);
    std::fprintf(stderr, "kling: there is no command %s%s; kling --help lists them\n", argv[1],
                 near.empty() ? "" : (", did you mean " + near + "?").c_str());
    return code;
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
