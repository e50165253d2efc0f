#include "repl/console.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cwchar>

#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>

#include "base/signals.h"
#include "base/terminal.h"

namespace kling::repl {

struct Console::Editor : NotCopied {
  explicit Editor(Console& console);
  ~Editor() {
    ::el_end(line);
    ::history_end(past);
  }

  static Console& owner(EditLine* line) {
    void* console = nullptr;
    ::el_get(line, EL_CLIENTDATA, &console);
    return *static_cast<Console*>(console);
  }
  static char* prompt(EditLine* line) { return owner(line).prompt_.data(); }
  static int next_character(EditLine* line, wchar_t* out);
  static unsigned char complete(EditLine* line, int);

  std::string before_cursor() const {
    const LineInfo* typed = ::el_line(line);
    return {typed->buffer, typed->cursor};
  }
  /// Moves to where the prompt starts and takes away all below. REQUIRES: redraw() follows.
  void erase() const {
    const std::size_t columns = terminal_size(STDOUT_FILENO).columns;
    const std::size_t rows =
        (columns_of(owner(line).prompt_) + columns_of(before_cursor())) / columns;
    if (rows > 0) std::printf("\x1b[%zuA", rows);
    std::printf("\r\x1b[J");
  }
  void redraw() const {
    std::fflush(stdout);
    ::el_set(line, EL_REFRESH);
  }
  void remember(const std::string& text) const {
    HistEvent event;
    ::history(past, &event, H_ENTER, text.c_str());
  }

  History* past = ::history_init();
  EditLine* line = ::el_init("kling", stdin, stdout, stderr);
  Read stopped = Read::line;  ///< why next_character() gave none
};

Console::Editor::Editor(Console& console) {
  HistEvent event;
  ::history(past, &event, H_SETSIZE, 1000);
  for (const std::string& text : console.history_->lines()) remember(text);
  ::el_set(line, EL_CLIENTDATA, &console);
  ::el_set(line, EL_PROMPT, &prompt);
  ::el_set(line, EL_EDITOR, "emacs");
  ::el_set(line, EL_HIST, ::history, past);
  ::el_set(line, EL_ADDFN, "kling-complete", "complete the word", &complete);
  ::el_set(line, EL_BIND, "^I", "kling-complete", nullptr);
  ::el_set(line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  ::el_set(line, EL_BIND, "\\e[1;5C", "em-next-word", nullptr);
  ::el_set(line, EL_BIND, "\\e[1;5D", "ed-prev-word", nullptr);
  ::el_source(line, nullptr);  // ~/.editrc is the user's say
  ::el_set(line, EL_GETCFN, &next_character);
}

int Console::Editor::next_character(EditLine* line, wchar_t* out) {
  Console& console = owner(line);
  std::mbstate_t state{};
  for (;;) {
    const Read input = console.await_input();
    if (input != Read::line) {
      console.editor_->stopped = input;
      console.editor_->erase();
      ::el_cursor(line, 1 << 20);  // to its end, so that what follows stands below it
      console.editor_->redraw();
      errno = EINTR;
      return -1;
    }
    char byte = 0;
    const ssize_t size = ::read(STDIN_FILENO, &byte, 1);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) {
      console.editor_->stopped = Read::end;
      return 0;
    }
    const std::size_t read = std::mbrtowc(out, &byte, 1, &state);
    if (read <= 1) return 1;
    if (read == static_cast<std::size_t>(-1)) state = {};  // no character: go on with the next
  }
}

namespace {

std::string common_start(const std::vector<std::string>& texts) {
  std::string start = texts.front();
  for (const std::string& text : texts) {
    const auto differ = std::mismatch(start.begin(), start.end(), text.begin(), text.end());
    start.erase(differ.first, start.end());
  }
  while (!start.empty() && start.size() < texts.front().size() &&
         (static_cast<unsigned char>(texts.front()[start.size()]) & 0xC0) == 0x80)
    start.pop_back();  // not in the middle of a character
  return start;
}

void print_columns(const std::vector<std::string>& texts) {
  constexpr std::size_t kMost = 200;
  std::size_t width = 0;
  for (const std::string& text : texts) width = std::max(width, columns_of(text) + 2);
  const std::size_t terminal = terminal_size(STDOUT_FILENO).columns;
  const std::size_t columns = std::max<std::size_t>(1, terminal / width);
  const std::size_t shown = std::min(texts.size(), kMost);
  const std::size_t rows = (shown + columns - 1) / columns;
  for (std::size_t row = 0; row < rows; ++row) {
    std::string line;
    for (std::size_t i = row; i < shown; i += rows)
      line += texts[i] + std::string(width - columns_of(texts[i]), ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", fitted(line, terminal - 1).c_str());
  }
  if (texts.size() > shown) std::printf("… %zu more\n", texts.size() - shown);
}

}  // namespace

unsigned char Console::Editor::complete(EditLine* line, int) {
  Console& console = owner(line);
  const Proposals proposals = console.hooks_.complete(console.editor_->before_cursor());
  if (proposals.texts.empty()) return CC_REFRESH_BEEP;
  const std::string start = common_start(proposals.texts);
  if (start.size() > proposals.replaced) {
    ::el_insertstr(line, start.c_str() + proposals.replaced);
    return CC_REFRESH;
  }
  if (proposals.texts.size() == 1) return CC_REFRESH;
  std::printf("\n");
  print_columns(proposals.texts);
  std::fflush(stdout);
  return CC_REDISPLAY;
}

// ---- The console ----

Console::Console() : interactive_(::isatty(STDIN_FILENO) != 0) {
  signals_ = signal_pipe({SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT});
  use_utf8();
}

Console::~Console() = default;

void Console::start(HistoryFile& history, std::string key, Hooks hooks) {
  history_ = &history;
  key_ = std::move(key);
  hooks_ = std::move(hooks);
  if (interactive_ && is_capable_terminal(STDOUT_FILENO)) editor_ = std::make_unique<Editor>(*this);
}

int Console::take_interrupts() {
  unsigned char signal = 0;
  while (::read(signals_, &signal, 1) == 1) {
    switch (signal) {
      case SIGINT: ++interrupts_; break;
      case SIGWINCH: resized_ = true; break;
      case SIGCONT: continued_ = true; break;
      default: leave_ = true;
    }
  }
  return std::exchange(interrupts_, 0);
}

void Console::wait(int milliseconds) {
  // What is typed ahead would be shown in the middle of the live lines; the next prompt shows it.
  termios shown{};
  const bool hidden = editor_ && ::tcgetattr(STDIN_FILENO, &shown) == 0;
  if (hidden) {
    termios quiet = shown;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOCTL);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
  }
  pollfd sources[] = {{signals_, POLLIN, 0}, {hooks_.descriptor, POLLIN, 0}};
  ::poll(sources, 2, milliseconds);
  if (hidden) ::tcsetattr(STDIN_FILENO, TCSANOW, &shown);
}

Console::Read Console::await_input() {
  for (;;) {
    const int milliseconds = hooks_.idle();
    if (std::exchange(withdrawn_, false)) return Read::withdrawn;
    pollfd sources[] = {
        {STDIN_FILENO, POLLIN, 0}, {signals_, POLLIN, 0}, {hooks_.descriptor, POLLIN, 0}};
    ::poll(sources, 3, milliseconds);
    const bool interrupted = take_interrupts() > 0;
    if (editor_ && (std::exchange(resized_, false) | continued_)) {
      if (std::exchange(continued_, false)) {  // the shell has set the terminal its way
        ::el_set(editor_->line, EL_PREP_TERM, 0);
        ::el_set(editor_->line, EL_PREP_TERM, 1);
      }
      editor_->erase();
      ::el_resize(editor_->line);
      editor_->redraw();
    }
    if (leave_) return Read::end;
    if (interrupted) return Read::interrupted;
    if (sources[0].revents != 0) return Read::line;
  }
}

Console::Read Console::read_line(const std::string& prompt, std::string& line) {
  prompt_ = prompt;
  line.clear();
  reading_ = true;
  const Read read = editor_ ? read_edited(line) : read_plain(line);
  reading_ = false;
  if (read == Read::line && interactive_ && history_->add(line, key_) && editor_)
    editor_->remember(line);
  if (read != Read::line && interactive_) std::printf(read == Read::interrupted ? "^C\n" : "\n");
  std::fflush(stdout);
  return read;
}

Console::Read Console::read_edited(std::string& line) {
  int count = 0;
  const Read& stopped = editor_->stopped = Read::line;
  const char* text = ::el_gets(editor_->line, &count);
  if (stopped == Read::interrupted || stopped == Read::withdrawn) return stopped;
  if (text == nullptr || count <= 0) return Read::end;
  line.assign(text, static_cast<std::size_t>(count));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  return Read::line;
}

Console::Read Console::read_plain(std::string& line) {
  if (interactive_) std::printf("%s", prompt_.c_str());
  std::fflush(stdout);
  for (;;) {
    const std::size_t end = buffer_.find('\n');
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      if (line.ends_with('\r')) line.pop_back();
      return Read::line;
    }
    if (ended_) return Read::end;
    if (const Read input = await_input(); input != Read::line) return input;
    char piece[4096];
    const ssize_t size = ::read(STDIN_FILENO, piece, sizeof piece);
    const bool first = !std::exchange(begun_, true);
    if (size > 0) buffer_.append(piece, static_cast<std::size_t>(size));
    if (first && buffer_.starts_with("\xEF\xBB\xBF")) buffer_.erase(0, 3);
    if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN)) ended_ = true;
  }
}

void Console::say(const std::string& text) {
  if (reading_ && editor_) {
    editor_->erase();
    std::printf("%s\n", text.c_str());
    editor_->redraw();
    return;
  }
  const bool prompted = reading_ && interactive_;
  std::printf("%s%s\n%s", prompted ? "\n" : "", text.c_str(), prompted ? prompt_.c_str() : "");
  std::fflush(stdout);
}

void Console::clear_screen() {
  if (editor_) std::printf("\x1b[H\x1b[2J");
}

}  // namespace kling::repl
