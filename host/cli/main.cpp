// The program `kling`. The crash suite links the rest with another one (tests/crash/trace.cpp).
#include "cli/command.h"

std::function<void(const char*, bool)> kling::cli::action_trace() { return nullptr; }

int main(int argc, char** argv) { return kling::cli::run_program(argc, argv); }
