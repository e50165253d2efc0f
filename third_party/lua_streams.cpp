// The streams of the copy of Lua inside libkling (third_party/inside.cmake).
#include <cstdio>

extern "C" {
FILE* inside_stdin = stdin;
FILE* inside_stdout = stdout;
FILE* inside_stderr = stderr;
}
