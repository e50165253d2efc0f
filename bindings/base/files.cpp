#include "base/files.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

namespace kling {
namespace {

constexpr std::size_t kPiece = 256u << 10;

Error media_error(std::string message) {
  return {.kind = Kind::media, .message = std::move(message)};
}

Error file_error(const char* verb, const std::string& path, int error_number) {
  if (error_number == ENOENT && verb == std::string_view("read")) return no_such_file(path);
  Error error =
      media_error(std::string("cannot ") + verb + " " + path + ": " + system_message(error_number));
  error.hint = system_hint(error_number);
  return error;
}

/// Opens close-on-exec. A zero byte would silently name another file, so it is an error.
Descriptor open_file(const std::string& path, int flags, mode_t mode = 0) {
  if (path.find('\0') != std::string::npos) {
    errno = EINVAL;
    return Descriptor();
  }
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC, mode));
}

bool write_all(int descriptor, std::string_view data) {
  while (!data.empty()) {
    const ssize_t size = ::write(descriptor, data.data(), data.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    data.remove_prefix(std::size_t(size));
  }
  return true;
}

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// Renames and makes the new name durable. Never onto a device or pipe, which a rename would
/// replace: as root, saving to /dev/null would break the machine. Folders that cannot be synced
/// (some network file systems, folders one may not read) are as safe as they get.
Status rename_durably(const std::string& from, const std::string& path) {
  if (path.find('\0') != std::string::npos) return file_error("write", path, EINVAL);
  struct stat target {};
  if (::stat(path.c_str(), &target) == 0 && !S_ISREG(target.st_mode))
    return media_error("cannot write " + path + ": it exists and is not a file");
  if (std::rename(from.c_str(), path.c_str()) != 0) return file_error("write", path, errno);
  Descriptor folder = open_file(folder_of(path), O_RDONLY | O_DIRECTORY);
  if (folder && ::fsync(folder.get()) != 0 && errno == EIO) return file_error("sync", path, errno);
  return Done{};
}

/// A new file beside its later path; removed again unless it is committed.
class PartFile {
 public:
  PartFile(std::string path, mode_t mode) : path_(std::move(path)) {
    do {
      part_ = part_path(path_);
      file_ = open_file(part_, O_WRONLY | O_CREAT | O_EXCL, mode);
    } while (!file_ && errno == EEXIST);
    if (!file_) error_number_ = errno;
  }
  ~PartFile() {
    if (file_) ::unlink(part_.c_str());
  }

  /// False after a failure, which commit() reports.
  bool append(std::string_view data) {
    if (error_number_ == 0 && !write_all(file_.get(), data)) error_number_ = errno;
    return error_number_ == 0;
  }

  Status commit() {
    if (error_number_ == 0 && ::fsync(file_.get()) != 0) error_number_ = errno;
    if (error_number_ != 0) return file_error("write", path_, error_number_);
    Status status = rename_durably(part_, path_);
    if (status) file_.reset();
    return status;
  }

 private:
  std::string path_;
  std::string part_;
  Descriptor file_;
  int error_number_ = 0;
};

}  // namespace

Error no_such_file(const std::string& path) {
  struct stat info {};
  const bool there = ::stat(path.c_str(), &info) == 0;
  const char* const what = S_ISDIR(info.st_mode) ? ": it is a folder" : ": it is no file";
  const bool home = path.starts_with("~/"), address = path.starts_with("http");
  constexpr const char* kAround = "'\"` \t\r\n";  // pasted, or of a list that was read
  const std::size_t first = std::min(path.find_first_not_of(kAround), path.size());
  const std::string bare = path.substr(first, path.find_last_not_of(kAround) + 1 - first);
  return {.kind = Kind::media,
          .message = there ? "cannot read " + path + what : "no such file: " + path,
          .hint = home      ? "write os.getenv(\"HOME\") .. \"" + path.substr(1) + '"'
                  : address ? "an address is no file: download it first"
                  : bare != path && !bare.empty()
                      ? "leave out the quotes or blanks around it: " + bare
                      : "check the path; relative ones start at the working folder"};
}

Status read_pieces(const std::string& path, const std::function<bool(std::string_view)>& take) {
  // Non-blocking, as opening a pipe without a writer would wait for ever.
  Descriptor file = open_file(path, O_RDONLY | O_NONBLOCK);
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) return file_error("read", path, errno);
  if (!S_ISREG(info.st_mode)) return no_such_file(path);
  std::vector<char> piece(std::min<std::size_t>(kPiece, std::size_t(info.st_size) + 4096));
  while (true) {
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return file_error("read", path, errno);
    if (size == 0 || !take(std::string_view(piece.data(), std::size_t(size)))) return Done{};
  }
}

Result<std::string> read_file(const std::string& path, std::uint64_t cap) {
  std::string content;
  Status status = read_pieces(path, [&](std::string_view piece) {
    content += piece;
    return content.size() <= cap;
  });
  if (!status) return status.error();
  if (content.size() > cap)
    return media_error(path + " is larger than " + std::to_string(cap) + " bytes");
  return content;
}

Result<FileHead> read_head(const std::string& path, std::uint64_t count) {
  FileHead head;
  Status status = read_pieces(path, [&](std::string_view piece) {
    if (head.data.size() < count) head.data += piece.substr(0, count - head.data.size());
    head.size += piece.size();
    return head.data.size() < count;
  });
  if (!status) return status.error();
  std::error_code error;
  if (const auto size = fs::file_size(path, error); !error) head.size = size;
  return head;
}

std::function<std::string(std::uint64_t, std::size_t)> read_from(const std::string& path) {
  const auto file = std::make_shared<Descriptor>(open_file(path, O_RDONLY | O_NONBLOCK));
  return [file](std::uint64_t at, std::size_t count) {
    std::string piece(count, '\0');
    const ssize_t size = ::pread(file->get(), piece.data(), count, off_t(at));
    piece.resize(std::size_t(std::max<ssize_t>(size, 0)));
    return piece;
  };
}

std::string file_stamp(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || info.st_mtim.tv_nsec == 0) return "";
  std::string stamp;
  for (const auto part :
       {std::int64_t(info.st_dev), std::int64_t(info.st_ino), info.st_size, info.st_mtim.tv_sec,
        info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec})
    stamp += std::to_string(part) + " ";
  return stamp;
}

bool is_standard_input(const char* path) {
  struct stat named, input, nothing;
  const auto is_input = [&input](const struct stat& other) {
    return other.st_dev == input.st_dev && other.st_ino == input.st_ino;
  };
  return ::fstat(0, &input) == 0 && ::stat(path, &named) == 0 && is_input(named) &&
         !(::stat("/dev/null", &nothing) == 0 && is_input(nothing));
}

Status make_folders(const std::string& folder) {
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) return file_error("make the folder", folder, error.value());
  return Done{};
}

Status write_file(const std::string& path, std::string_view data, bool secret) {
  PartFile part(path, secret ? 0600 : 0666);
  part.append(data);
  return part.commit();
}

Status commit_file(const std::string& from, const std::string& path) {
  {
    Descriptor file = open_file(from, O_RDONLY);
    if (!file || ::fsync(file.get()) != 0) return file_error("save", from, errno);
  }
  return rename_durably(from, path);
}

std::string part_path(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  // Not built from the file's own name, which may already be as long as a name can be.
  // The program and its library have a counter each: the time tells them apart.
  const auto time = std::chrono::steady_clock::now().time_since_epoch().count();
  return folder_of(path) + "/.kling-" + std::to_string(::getpid()) + "-" + std::to_string(time) +
         "-" + std::to_string(++counter) + ".part";
}

Status copy_file(const std::string& from, const std::string& to) {
  PartFile part(to, 0666);
  Status status = read_pieces(from, [&](std::string_view piece) { return part.append(piece); });
  if (!status) return status;
  return part.commit();
}

fs::path xdg_folder(const char* variable, const char* fallback) {
  const char *set = std::getenv(variable), *home = std::getenv("HOME");
  if (set != nullptr && *set == '/') return fs::path(set) / "kling";
  return fs::path(home != nullptr ? home : "") / fallback / "kling";
}

std::string extension_of(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  for (char& letter : extension)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter | 0x20);
  return extension.empty() ? extension : extension.substr(1);
}

std::string system_message(int error_number) {
  return std::generic_category().message(error_number) +
         (error_number == EFBIG    ? ", for the limit that ulimit -f shows"
          : error_number == EMFILE ? " (ulimit -n)"
                                   : "");
}

std::string system_hint(int error_number, std::string otherwise) {
  if (error_number == EMFILE || error_number == ENFILE)
    return "close files, or raise the limit of open ones (ulimit -n)";
  if (error_number == ENOTDIR) return "a part of the path is a file, where a folder is meant";
  if (error_number == ENAMETOOLONG) return "shorten the name";
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  return full ? "free space and try again" : otherwise;
}

Result<UnsharedDescriptor> try_lock(const std::string& path) {
  UnsharedDescriptor file([&] { return open_file(path, O_RDWR | O_CREAT, 0600); });
  if (!file) return file_error("lock", path, errno);
  // Bound to the open file, not to the process: two holders in one process exclude each other,
  // and closing another descriptor of the same file does not drop the lock.
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_OFD_SETLK, &range) != 0) {
    if (errno == EAGAIN || errno == EACCES) return UnsharedDescriptor();
    return file_error("lock", path, errno);
  }
  return file;
}

}  // namespace kling
