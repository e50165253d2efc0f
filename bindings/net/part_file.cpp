#include "net/part_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/files.h"
#include "net/failure.h"

namespace kling::net {
namespace {

constexpr std::size_t kGather = 512u << 10;

/// A descriptor of `path` that nobody else works on; none when it is in use or cannot be opened.
Descriptor open_locked(const std::string& path, bool& in_use) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file) return file;
  struct stat opened {
  }, named{};
  in_use = ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
  // Another download may have renamed it between open and lock: then it is the finished file.
  in_use = in_use || ::fstat(file.get(), &opened) != 0 || ::stat(path.c_str(), &named) != 0 ||
           opened.st_ino != named.st_ino || !S_ISREG(opened.st_mode);
  return in_use ? Descriptor() : std::move(file);
}

}  // namespace

Error PartFile::failed(const char* verb, int error_number) const {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return failure(
      Kind::media,
      std::string("cannot ") + verb + " " + part_ + ": " + system_message(error_number),
      full ? "make room and try again; what has arrived is kept" : system_hint(error_number));
}

Result<PartFile> PartFile::open(const std::string& path) {
  PartFile part;
  part.path_ = path;
  part.part_ = path + ".part";
  bool in_use = false;
  part.file_ = open_locked(part.part_, in_use);
  if (in_use) {
    part.part_ = path + "." + random_hex(4) + ".part";
    part.file_ = open_locked(part.part_, in_use);
  }
  if (!part.file_) return part.failed("write", errno);
  struct stat info {};
  if (::fstat(part.file_.get(), &info) != 0) return part.failed("read", errno);
  part.size_ = std::uint64_t(info.st_size);
  part.read_note();
  return part;
}

void PartFile::read_note() {
  const Result<std::string> text = read_file(note(), 8192);
  if (!text) return;
  const std::size_t first = text->find('\n');
  const std::size_t second = text->find('\n', first + 1);
  if (first == text->npos || second == text->npos) return;
  source_.validator = text->substr(0, first);
  source_.place = text->substr(first + 1, second - first - 1);
  std::from_chars(text->data() + second + 1, text->data() + text->size(), source_.total);
}

Status PartFile::restart(Source source) {
  gathered_.clear();
  digest_ = Sha256();
  size_ = 0;
  source_ = std::move(source);
  ::unlink(note().c_str());  // first, so that no note ever describes other bytes
  if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) != 0)
    return failed("write", errno);
  if (source_.validator.empty()) return Done{};
  return write_file(
      note(),
      source_.validator + "\n" + source_.place + "\n" + std::to_string(source_.total) + "\n", true);
}

Status PartFile::resume() {
  if (Status status = flush(); !status) return status;
  if (::lseek(file_.get(), 0, SEEK_END) < 0) return failed("read", errno);
  digest_ = Sha256();
  return read_pieces(part_, [this](std::string_view piece) {
    digest_.update(piece);
    return true;
  });
}

Status PartFile::append(std::string_view data) {
  if (gathered_.capacity() == 0) gathered_.reserve(kGather + 65536);
  gathered_ += data;
  return gathered_.size() < kGather ? Status(Done{}) : flush();
}

Status PartFile::flush() {
  std::string_view rest = gathered_;
  while (!rest.empty()) {
    const ssize_t size = ::write(file_.get(), rest.data(), rest.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      const int reason = errno;
      gathered_.erase(0, gathered_.size() - rest.size());
      return failed("write", reason);
    }
    digest_.update(rest.substr(0, std::size_t(size)));
    size_ += std::uint64_t(size);
    rest.remove_prefix(std::size_t(size));
  }
  gathered_.clear();
  // On its way to the disk already: the end waits for the rest only.
  ::sync_file_range(file_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  return Done{};
}

std::string PartFile::start() const {
  std::string start(256, '\0');
  const ssize_t got = ::pread(file_.get(), start.data(), start.size(), 0);
  start.resize(std::size_t(std::max<ssize_t>(got, 0)));
  return start + gathered_.substr(0, 256 - start.size());
}

PartFile::Boxes PartFile::boxes() const {
  Boxes boxes;
  for (std::uint64_t at = 0; at < size_;) {
    unsigned char head[16] = {};
    const ssize_t have = ::pread(file_.get(), head, sizeof head, off_t(at));
    const bool named = std::all_of(head + 4, head + 8, [](unsigned char c) {
      return std::isalnum(c) != 0 || c == ' ' || c == 0xA9;
    });
    if (have < 8 || head[0] >= ' ' || !named) break;  // not of the film
    const auto number = [&head](int from, int count) {
      std::uint64_t value = 0;
      for (int i = 0; i < count; ++i) value = value << 8 | head[from + i];
      return value;
    };
    boxes.moov = boxes.moov || number(4, 4) == 0x6d6f6f76;
    boxes.mdat = boxes.mdat || number(4, 4) == 0x6d646174;
    std::uint64_t box = number(0, 4);
    if (box == 0) break;  // reaches to the end by definition
    if (box == 1) box = have == 16 ? number(8, 8) : 0;
    if (box < 8) break;
    boxes.cut = box > size_ - at;
    if (boxes.cut) break;
    at += box;
  }
  return boxes;
}

Result<std::string> PartFile::commit() {
  if (Status status = flush(); !status) return status.error();
  if (Status status = commit_file(part_, path_); !status) return status.error();
  ::unlink(note().c_str());
  return digest_.hex();
}

void PartFile::discard() {
  ::unlink(note().c_str());
  ::unlink(part_.c_str());
}

}  // namespace kling::net
