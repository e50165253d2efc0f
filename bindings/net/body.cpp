#include "net/body.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/files.h"
#include "net/failure.h"

namespace kling::net {
namespace {

constexpr std::size_t kStep = 192u << 10;  // a multiple of 3: no padding within the text

Error bad_file(const BodyPiece& piece, const std::string& reason) {
  return failure(Kind::media, piece.path + " " + reason + ", so the request was not made",
                 "leave the file alone while it is submitted, and submit again");
}

}  // namespace

Result<BodyReader> BodyReader::open(const Body& body) {
  BodyReader reader(body);
  for (const BodyPiece& piece : body) {
    Descriptor file;
    if (!piece.path.empty()) {
      file = Descriptor(::open(piece.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      struct stat info {};
      if (!file || ::fstat(file.get(), &info) != 0)
        return bad_file(piece, "cannot be read (" + system_message(errno) + ")");
      if (!S_ISREG(info.st_mode) || std::uint64_t(info.st_size) != piece.size)
        return bad_file(piece, "has changed since it was checked");
    }
    reader.size_ += piece.path.empty() ? piece.text.size() : base64_size(piece.size);
    reader.files_.push_back(std::move(file));
  }
  return reader;
}

Result<std::string_view> BodyReader::next() {
  started_ = true;
  while (piece_ < body_->size()) {
    const BodyPiece& piece = (*body_)[piece_];
    if (!piece.path.empty() && offset_ < piece.size) {
      if (offset_ == 0) digest_.emplace();
      raw_.resize(std::min<std::uint64_t>(kStep, piece.size - offset_));
      for (std::size_t have = 0; have < raw_.size();) {
        const ssize_t size = ::read(files_[piece_].get(), raw_.data() + have, raw_.size() - have);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return bad_file(piece, "cannot be read (" + system_message(errno) + ")");
        if (size == 0) return bad_file(piece, "became shorter while it was sent");
        have += std::size_t(size);
      }
      digest_->update(raw_);
      offset_ += raw_.size();
      if (offset_ == piece.size && digest_->hex() != piece.sha256)
        return bad_file(piece, "has changed since it was checked");
      block_ = base64_encode(raw_);
      return std::string_view(block_);
    }
    if (piece.path.empty() && offset_ < piece.text.size()) {
      const std::string_view text = std::string_view(piece.text).substr(offset_, kStep);
      offset_ += text.size();
      return text;
    }
    ++piece_;
    offset_ = 0;
  }
  return std::string_view();
}

}  // namespace kling::net
