// The program `kling`. The crash suite links the rest with another one (tests/crash/trace.cpp).

#include <fcntl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include "cli/command.h"
#include "engine/media/ffmpeg.h"

std::function<void(const char*, bool)> kling::cli::action_trace() { return nullptr; }

// cpp-httplib has OpenSSL load the texts of all its errors before main(): a tenth of an empty run,
// for texts that nothing here shows. Those of TLS, which are shown, come all the same.
static void spare_error_texts(int, char**, char** environment) {
  environ = environment;  // the C library has not begun yet
  ::OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, nullptr);
}
__attribute__((section(".preinit_array"), used)) static decltype(&spare_error_texts) before_all =
    spare_error_texts;

int main(int argc, char** argv) {
  // Else each worker's memory lies in a heap of its own, full of holes once ten thousand jobs have
  // been sent.
  ::mallopt(M_ARENA_MAX, 1);
  int code = kling::cli::run_program(argc, argv);
  // Where it is closed, nobody wanted to see it.
  const bool open = (::fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) != O_RDONLY;
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (open && !written && code == kling::cli::kExitDone) {
    kling::cli::tell("standard output could not be written whole",
                     "free space, or let the output go elsewhere");
    code = kling::cli::kExitError;
  }
  // Nothing is left to end, and the process's memory goes with it: taking OpenSSL apart would cost
  // an empty run as much as running it.
  std::fflush(nullptr);
  kling::engine::media::drop_parts();
  ::_exit(code);
}
