// The files of a project folder: editor types and settings, and what `kling init` adds. Never
// overwrites what a person may have written. Main thread; blocks on the disk.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace kling::cli {

/// The module as LuaLS annotations: functions, request fields, values and errors.
std::string editor_types();

struct ProjectFile {
  std::string name;  ///< below the folder
  std::string text;
};
/// types/kling.lua, .luarc.json and .luacheckrc.
std::vector<ProjectFile> editor_files();

/// Writes `files` below `folder`, which is made, and says so. One that exists is left as it is;
/// generated types are brought up to date. Returns the exit code.
int write_project(const Voice& voice, const std::string& folder,
                  const std::vector<ProjectFile>& files);

}  // namespace kling::cli
