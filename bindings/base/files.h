// Files as the engine needs them: whole reads with a cap, writes that are all there or not there
// at all, and the free functions around paths. The one file that knows how this system syncs and
// locks. Any thread; every function blocks on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "base/leaving.h"

namespace kling {

namespace fs = std::filesystem;

/// Calls take(piece) until the end of a regular file; take returns false to stop early.
Status read_pieces(const std::string& path, const std::function<bool(std::string_view)>& take);

/// The whole file, at most `cap` bytes. Errors (kind media) name the path and the reason.
Result<std::string> read_file(const std::string& path, std::uint64_t cap);

struct FileHead {
  std::string data;
  std::uint64_t size = 0;
};
Result<FileHead> read_head(const std::string& path, std::uint64_t count);

/// Gives a regular file's bytes from a place on, at most so many; none when there are none.
std::function<std::string(std::uint64_t at, std::size_t count)> read_from(const std::string& path);

/// Kind media: there is none at `path`.
Error no_such_file(const std::string& path);

/// SHA-256 of a file's content as hex digits, read in pieces; its size in `size` when not null.
Result<std::string> hash_file(const std::string& path, std::uint64_t* size = nullptr);

/// What changes when a file's content does: its place on the disk, size and times. Empty where the
/// disk keeps whole seconds only, or there is no file.
std::string file_stamp(const std::string& path);

/// Whether it is another name of this program's input. /dev/null never is: nothing is in it.
bool is_standard_input(const char* path);

Status make_folders(const std::string& folder);

/// Writes `data` beside `path`, syncs it and renames it onto `path`. Mode 0600 when `secret`.
Status write_file(const std::string& path, std::string_view data, bool secret = false);

/// Renames a finished file onto `path` after syncing it, then syncs the folder. Refuses, as all
/// writes do, to replace a device, pipe or folder.
Status commit_file(const std::string& from, const std::string& path);

/// A name beside `path` that this process gives once, for a file that commit_file renames later.
std::string part_path(const std::string& path);

/// Copies a file so that `to` is either the old or the whole new content.
Status copy_file(const std::string& from, const std::string& to);

/// "kling" in a folder of the XDG base directories: `variable`, else `fallback` below the home
/// folder; relative without one.
fs::path xdg_folder(const char* variable, const char* fallback);

/// What a name ends in, in small letters and without the dot: "jpg".
std::string extension_of(const std::string& path);

/// What `strerror` says of an errno value, as "No space left on device".
std::string system_message(int error_number);

/// What to do about it; `otherwise` where that is not known.
std::string system_hint(int error_number, std::string otherwise = {});

/// An exclusive advisory lock of the kernel on a file, held until it is closed or the process ends;
/// a forked child does not hold it. Makes the file when it is missing (0600). None in Result when
/// another holder has the lock.
Result<UnsharedDescriptor> try_lock(const std::string& path);

}  // namespace kling
