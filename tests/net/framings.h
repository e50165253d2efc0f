// One table of answers as servers, proxies and stores send them, byte by byte: what can be read,
// and what has a name that must be told.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

#include "net/raw_server.h"

namespace kling::test {

using std::string;

inline const string kOk = "HTTP/1.1 200 OK\r\n";
inline const string kChunked = kOk + "Transfer-Encoding: chunked\r\n";
inline const string kPause = "\1pause\1";  ///< in an answer: 0.3 s pass here

inline string film_of(std::size_t size) {
  string text(
      "\0\0\0\x10"
      "ftypisom\0\0\0\0"
      "\0\0\0\x08moov",
      24);
  const std::size_t rest = size - text.size();
  for (int shift = 24; shift >= 0; shift -= 8) text += char(rest >> shift & 0xff);
  text += "mdat";
  text.resize(size, 'm');
  return text;
}

inline string hex(std::size_t number, const char* format = "%zx") {
  char text[32];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

/// In chunks of `step`; `extension` stands behind each size.
inline string chunks(const string& body, std::size_t step = 4096, const string& extension = "",
                     const char* format = "%zx", const string& end = "\r\n") {
  string text;
  for (std::size_t at = 0; at < body.size(); at += step) {
    const string piece = body.substr(at, step);
    text += hex(piece.size(), format) + extension + end + piece + end;
  }
  return text + "0" + extension + end;
}

inline string sized(const string& body, const string& lines = "", const string& first = kOk) {
  return first + lines + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline string bytes_of(std::uint32_t number, int count) {
  string text;
  for (int i = 0; i < count; ++i) text += char(number >> 8 * i & 0xff);
  return text;
}

/// Deflate without compression.
inline string deflated(const string& body) {
  return string("\1", 1) + bytes_of(std::uint32_t(body.size()), 2) +
         bytes_of(~std::uint32_t(body.size()), 2) + body;
}

inline string gzip(const string& body) {
  std::uint32_t crc = ~0u;
  for (const unsigned char c : body) {
    crc ^= c;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return string("\x1f\x8b\x08\0\0\0\0\0\0\3", 10) + deflated(body) + bytes_of(~crc, 4) +
         bytes_of(std::uint32_t(body.size()), 4);
}

inline string zlib(const string& body) {
  std::uint32_t a = 1, b = 0;
  for (const unsigned char c : body) b = (b + (a = (a + c) % 65521)) % 65521;
  const string sum = bytes_of(b << 16 | a, 4);
  return "\x78\1" + deflated(body) + string(sum.rbegin(), sum.rend());
}

/// One uncompressed block and an empty last one.
inline string brotli(const string& body) {
  return bytes_of(std::uint32_t(body.size() - 1) << 4 | 1u << 20, 3) + body + "\3";
}

inline string many(const string& text, int times) {
  string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

struct Framing {
  string name;
  string (*framing)(const string& body);
  const char* fault = nullptr;  ///< null: the body is read
};

// clang-format off
inline const Framing kFramings[] = {
    {"of a length", [](const string& b) { return sized(b); }},
    {"until the connection ends", [](const string& b) { return kOk + "\r\n" + b; }},
    {"until the connection ends, said so", [](const string& b) { return kOk + "Connection: close\r\n\r\n" + b; }},
    {"HTTP/1.0 without length", [](const string& b) { return "HTTP/1.0 200 OK\r\n\r\n" + b; }},
    {"HTTP/1.0 with length", [](const string& b) { return sized(b, "", "HTTP/1.0 200 OK\r\n"); }},
    {"HTTP/1.0 in chunks", [](const string& b) { return "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b) + "\r\n"; }},
    {"no reason phrase", [](const string& b) { return sized(b, "", "HTTP/1.1 200\r\n"); }},
    {"no reason phrase but its blank", [](const string& b) { return sized(b, "", "HTTP/1.1 200 \r\n"); }},
    {"a reason of 2,000 bytes", [](const string& b) { return sized(b, "", "HTTP/1.1 200 " + string(2000, 'k') + "\r\n"); }},
    {"a reason in UTF-8", [](const string& b) { return sized(b, "", "HTTP/1.1 200 成功\r\n"); }},
    {"an empty line before", [](const string& b) { return "\r\n" + sized(b); }},
    {"bare line feeds", [](const string& b) { return "HTTP/1.1 200 OK\nContent-Length: " + std::to_string(b.size()) + "\n\n" + b; }},
    {"bare line feeds and chunks", [](const string& b) { return "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n" + chunks(b, 4096, "", "%zx", "\n") + "\n"; }},
    {"a folded header", [](const string& b) { return sized(b, "X-Long: one\r\n two\r\n\tthree\r\n"); }},
    {"a folded length", [](const string& b) { return kOk + "Content-Length:\r\n " + std::to_string(b.size()) + "\r\n\r\n" + b; }},
    {"a header without a colon", [](const string& b) { return sized(b, "nonsense\r\n"); }},
    {"a header without a name", [](const string& b) { return sized(b, ": nonsense\r\n"); }},
    {"a blank before the colon", [](const string& b) { return kOk + "Content-Length : " + std::to_string(b.size()) + "\r\n\r\n" + b; }},
    {"no blank behind the colon", [](const string& b) { return kOk + "content-length:" + std::to_string(b.size()) + "\r\n\r\n" + b; }},
    {"names in capitals", [](const string& b) { return kOk + "CONTENT-LENGTH: " + std::to_string(b.size()) + "  \t\r\n\r\n" + b; }},
    {"bytes that are no UTF-8 in a header", [](const string& b) { return sized(b, "X-Name: caf\xe9 \x80\r\n"); }},
    {"percent codes in a header", [](const string& b) { return sized(b, "X-Path: %00%0d%0a%zz%\r\n"); }},
    {"a header line of 9,000 bytes", [](const string& b) { return sized(b, "X-Trace: " + string(8991, 't') + "\r\n"); }},
    {"a header line of 60,000 bytes", [](const string& b) { return sized(b, "Set-Cookie: " + string(60'000, 't') + "\r\n"); }},
    {"a header line of 100,000 bytes", [](const string& b) { return sized(b, "X-Trace: " + string(99'990, 't') + "\r\n"); }},
    {"200 headers", [](const string& b) { return sized(b, many("X-Many: value\r\n", 200)); }},
    {"headers of 290 KB", [](const string& b) { return sized(b, many("X-Large: " + string(29'000, 'l') + "\r\n", 10)); }},
    {"a header line of 110,000 bytes", [](const string& b) { return sized(b, "X-Trace: " + string(110'000, 't') + "\r\n"); }, "a line of more than 100 KB"},
    {"headers of 320 KB", [](const string& b) { return sized(b, many("X-Large: " + string(32'000, 'l') + "\r\n", 10)); }, "more than 300 KB"},
    {"the head byte by byte", [](const string& b) { return "H" + kPause + "TTP/1.1 200 OK\r" + kPause + "\nContent-Length: " + std::to_string(b.size()) + "\r\n\r" + kPause + "\n" + b; }},
    {"chunks", [](const string& b) { return kChunked + "\r\n" + chunks(b) + "\r\n"; }},
    {"one chunk", [](const string& b) { return kChunked + "\r\n" + chunks(b, 1 << 20) + "\r\n"; }},
    {"chunks of seven bytes", [](const string& b) { return kChunked + "\r\n" + chunks(b, 7) + "\r\n"; }},
    {"chunks with sizes in capitals", [](const string& b) { return kChunked + "\r\n" + chunks(b, 0xabc, "", "%zX") + "\r\n"; }},
    {"chunks with leading zeros", [](const string& b) { return kChunked + "\r\n" + chunks(b, 100, "", "%020zx") + "\r\n"; }},
    {"chunks with blanks behind the size", [](const string& b) { return kChunked + "\r\n" + chunks(b, 4096, "   ") + "\r\n"; }},
    {"chunks with extensions", [](const string& b) { return kChunked + "\r\n" + chunks(b, 4096, ";name=\"value;more\";x") + "\r\n"; }},
    {"chunks with extensions of 5,000 bytes", [](const string& b) { return kChunked + "\r\n" + chunks(b, 4096, ";x=" + string(5000, 'e')) + "\r\n"; }},
    {"chunks that pause within a size", [](const string& b) { return kChunked + "\r\n" + hex(b.size()).substr(0, 1) + kPause + hex(b.size()).substr(1) + "\r" + kPause + "\n" + b + kPause + "\r\n0\r\n\r\n"; }},
    {"a trailer", [](const string& b) { return kChunked + "\r\n" + chunks(b) + "X-Checksum: 1f\r\n\r\n"; }},
    {"an announced trailer", [](const string& b) { return kChunked + "Trailer: X-Checksum, Server-Timing\r\n\r\n" + chunks(b) + "X-Checksum: 1f\r\nServer-Timing: db;dur=5\r\n\r\n"; }},
    {"a trailer that comes late", [](const string& b) { return kChunked + "\r\n" + chunks(b) + kPause + "X-Checksum: 1f" + kPause + "\r\n\r\n"; }},
    {"a trailer of 20,000 bytes", [](const string& b) { return kChunked + "\r\n" + chunks(b) + "X-Checksum: " + string(20'000, 'f') + "\r\n\r\n"; }},
    {"a trailer that names a length", [](const string& b) { return kChunked + "\r\n" + chunks(b) + "Content-Length: 5\r\n\r\n"; }},
    {"trailers without end", [](const string& b) { return kChunked + "\r\n" + chunks(b) + many("X-More: 0123456789\r\n", 20'000); }, "more than 300 KB"},
    {"chunks in capitals", [](const string& b) { return kOk + "TRANSFER-ENCODING: Chunked\r\n\r\n" + chunks(b) + "\r\n"; }},
    {"chunks and a length", [](const string& b) { return kChunked + "Content-Length: 3\r\n\r\n" + chunks(b) + "\r\n"; }},
    {"a length and chunks", [](const string& b) { return kOk + "Content-Length: 999999\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b) + "\r\n"; }},
    {"identity as transfer encoding", [](const string& b) { return sized(b, "Transfer-Encoding: identity\r\n"); }},
    {"gzip as transfer encoding", [](const string& b) { return kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks(gzip(b)) + "\r\n"; }},
    {"gzip as transfer encoding and a trailer", [](const string& b) { return kOk + "Transfer-Encoding: X-GZip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(gzip(b), 90) + "X: 1\r\n\r\n"; }},
    {"gzip as transfer encoding without chunks", [](const string& b) { return sized(gzip(b), "Transfer-Encoding: gzip\r\n"); }},
    {"deflate as transfer encoding", [](const string& b) { return kOk + "Transfer-Encoding: deflate, chunked\r\n\r\n" + chunks(zlib(b)) + "\r\n"; }},
    {"compress as transfer encoding", [](const string& b) { return kOk + "Transfer-Encoding: compress, chunked\r\n\r\n" + chunks(b) + "\r\n"; }, "packed (compress)"},
    {"gzip as both encodings", [](const string& b) { return kOk + "Transfer-Encoding: gzip, chunked\r\nContent-Encoding: gzip\r\n\r\n" + chunks(gzip(gzip(b))) + "\r\n"; }, "packed (gzip, gzip)"},
    {"a chunk longer than it says", [](const string& b) { return kChunked + "\r\n" + hex(b.size() - 3) + "\r\n" + b + "\r\n0\r\n\r\n"; }, "a chunk that is longer"},
    {"a chunk without a size", [](const string& b) { return kChunked + "\r\nsize\r\n" + b + "\r\n0\r\n\r\n"; }, "no valid size of a chunk"},
    {"a chunk of a negative size", [](const string& b) { return kChunked + "\r\n-5\r\n" + b + "\r\n0\r\n\r\n"; }, "no valid size of a chunk"},
    {"a chunk beyond 64 bits", [](const string& b) { return kChunked + "\r\nfffffffffffffffff\r\n" + b; }, "no valid size of a chunk"},
    {"chunks that end within", [](const string& b) { return kChunked + "\r\n" + hex(b.size()) + "\r\n" + b.substr(0, b.size() - 9); }, "before the answer was whole"},
    {"chunks without a last one", [](const string& b) { return kChunked + "\r\n" + hex(b.size()) + "\r\n" + b + "\r\n"; }, "before the answer was whole"},
    {"equal lengths twice", [](const string& b) { return sized(b, "Content-Length: " + std::to_string(b.size()) + "\r\n"); }},
    {"equal lengths in a list", [](const string& b) { return kOk + "Content-Length: " + std::to_string(b.size()) + ", " + std::to_string(b.size()) + "\r\n\r\n" + b; }},
    {"unequal lengths", [](const string& b) { return sized(b, "Content-Length: 7\r\n"); }, "no valid length: \"7, "},
    {"a negative length", [](const string& b) { return kOk + "Content-Length: -1\r\n\r\n" + b; }, "no valid length: \"-1\""},
    {"a length in words", [](const string& b) { return kOk + "Content-Length: many\r\n\r\n" + b; }, "no valid length: \"many\""},
    {"a length beyond 64 bits", [](const string& b) { return kOk + "Content-Length: 99999999999999999999\r\n\r\n" + b; }, "no valid length"},
    {"less than the length", [](const string& b) { return sized(b).substr(0, sized(b).size() - 5); }, "before the answer was whole"},
    {"more than the length", [](const string& b) { return sized(b) + sized("{}"); }},
    {"100 before", [](const string& b) { return "HTTP/1.1 100 Continue\r\n\r\n" + sized(b); }},
    {"100 with headers before", [](const string& b) { return "HTTP/1.1 100 Continue\r\nServer: x\r\nX-Id: 1\r\n\r\n" + sized(b); }},
    {"102 before", [](const string& b) { return "HTTP/1.1 102 Processing\r\n\r\n" + sized(b); }},
    {"102 before by 0.3 s", [](const string& b) { return "HTTP/1.1 102 Processing\r\n\r\n" + kPause + sized(b); }},
    {"103 before", [](const string& b) { return "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + sized(b); }},
    {"103 before by 0.3 s", [](const string& b) { return "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + kPause + sized(b); }},
    {"103 with a length before", [](const string& b) { return "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + sized(b); }},
    {"199 before", [](const string& b) { return "HTTP/1.1 199 Miscellaneous\r\n\r\n" + sized(b); }},
    {"100, 102 and 103 before", [](const string& b) { return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + kPause + "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" + sized(b); }},
    {"a thousand 102 before", [](const string& b) { return many("HTTP/1.1 102 Processing\r\n\r\n", 1000) + kChunked + "\r\n" + chunks(b) + "\r\n"; }},
    {"102 without end", [](const string&) { return many("HTTP/1.1 102 Processing\r\n\r\n", 20'000); }, "more than 300 KB"},
    {"102 and the end", [](const string&) { return string("HTTP/1.1 102 Processing\r\n\r\n"); }, "before the answer was whole"},
    {"another protocol from here on", [](const string& b) { return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + b; }, "another protocol"},
    {"gzip", [](const string& b) { return sized(gzip(b), "Content-Encoding: gzip\r\n"); }},
    {"x-gzip", [](const string& b) { return sized(gzip(b), "Content-Encoding: x-gzip\r\n"); }},
    {"GZip in chunks", [](const string& b) { return kChunked + "Content-Encoding: GZip\r\n\r\n" + chunks(gzip(b), 500) + "\r\n"; }},
    {"gzip until the connection ends", [](const string& b) { return kOk + "Content-Encoding: gzip\r\n\r\n" + gzip(b); }},
    {"deflate", [](const string& b) { return sized(zlib(b), "Content-Encoding: deflate\r\n"); }},
    {"br", [](const string& b) { return sized(brotli(b), "Content-Encoding: br\r\n"); }},
    {"identity", [](const string& b) { return sized(b, "Content-Encoding: identity\r\n"); }},
    {"an encoding that is none", [](const string& b) { return sized(b, "Content-Encoding: utf-8\r\n"); }},
    {"an upload's encoding", [](const string& b) { return sized(b, "Content-Encoding: aws-chunked\r\n"); }},
    {"packed twice", [](const string& b) { return sized(gzip(gzip(b)), "Content-Encoding: gzip, gzip\r\n"); }, "packed (gzip, gzip)"},
    {"zstd", [](const string& b) { return sized(b, "Content-Encoding: zstd\r\n"); }, "packed (zstd)"},
    {"gzip that is none", [](const string& b) { return sized(b, "Content-Encoding: gzip\r\n"); }, "packed (gzip)"},
    {"deflate without its head", [](const string& b) { return sized(deflated(b), "Content-Encoding: deflate\r\n"); }},
    {"gzip by the name of deflate", [](const string& b) { return sized(gzip(b), "Content-Encoding: deflate\r\n"); }},
    {"deflate with zeros behind it", [](const string& b) { return sized(zlib(b) + string(64, '\0'), "Content-Encoding: deflate\r\n"); }},
    {"HTTP/2 in words", [](const string& b) { return sized(b, "", "HTTP/2 200 OK\r\n"); }, "no HTTP/1.1 answer: \"HTTP/2 200 OK\""},
    {"HTTP/0.9", [](const string& b) { return b + string(20'000, 'x'); }, "no HTTP answer"},
    {"a status of words", [](const string& b) { return sized(b, "", "HTTP/1.1 OK\r\n"); }, "no HTTP/1.1 answer"},
    {"a status of four digits", [](const string& b) { return sized(b, "", "HTTP/1.1 2000 OK\r\n"); }, "no HTTP/1.1 answer"},
    {"another protocol", [](const string&) { return string("SSH-2.0-OpenSSH_9.2"); }, "no HTTP answer: \"SSH-2.0"},
    {"TLS where none is spoken", [](const string&) { return string("\x15\x03\x01\0\x02\x02\x46", 7); }, "no HTTP answer"},
    {"nothing", [](const string&) { return string(); }, "before the answer was whole"},
    {"two empty lines before", [](const string& b) { return "\n\r\n" + sized(b); }},
    {"a later HTTP/1", [](const string& b) { return sized(b, "", "HTTP/1.2 200 OK\r\n"); }},
    {"HTTP in small letters", [](const string& b) { return sized(b, "", "http/1.1 200 ok\r\n"); }, "no HTTP answer"},
    {"no blank before the reason", [](const string& b) { return sized(b, "", "HTTP/1.1 200OK\r\n"); }, "no HTTP/1.1 answer"},
    {"a status of two digits", [](const string& b) { return sized(b, "", "HTTP/1.1 20 OK\r\n"); }, "no HTTP/1.1 answer"},
    {"a status line without end", [](const string&) { return "HTTP/1.1 200 " + string(200'000, 'r'); }, "a line of more than 100 KB"},
    {"a folded line before any header", [](const string& b) { return sized(b, " folded\r\n"); }},
    {"a NUL in a header", [](const string& b) { return sized(b, string("X-Nul: a\0b\r\n", 12)); }},
    {"a lone CR in a header", [](const string& b) { return sized(b, "X-Cr: a\rContent-Length: 3\r\n"); }},
    {"an empty value", [](const string& b) { return sized(b, "X-Empty:\r\nX-Blank:   \r\n"); }},
    {"an empty length", [](const string& b) { return kOk + "Content-Length:\r\n\r\n" + b; }},
    {"a length with zeros before it", [](const string& b) { return kOk + "Content-Length: 0000" + std::to_string(b.size()) + "\r\n\r\n" + b; }},
    {"a length with a sign", [](const string& b) { return kOk + "Content-Length: +" + std::to_string(b.size()) + "\r\n\r\n" + b; }, "no valid length: \"+"},
    {"a hexadecimal length", [](const string& b) { return kOk + "Content-Length: 0x40\r\n\r\n" + b; }, "no valid length: \"0x40\""},
    {"a length with a fraction", [](const string& b) { return kOk + "Content-Length: 5.0\r\n\r\n" + b; }, "no valid length"},
    {"a list that ends with a comma", [](const string& b) { return kOk + "Content-Length: 5,\r\n\r\n" + b; }, "no valid length"},
    {"chunked twice", [](const string& b) { return kChunked + "Transfer-Encoding: chunked\r\n\r\n" + chunks(b) + "\r\n"; }},
    {"identity and chunked", [](const string& b) { return kOk + "Transfer-Encoding: identity, chunked\r\n\r\n" + chunks(b) + "\r\n"; }},
    {"an empty transfer encoding", [](const string& b) { return sized(b, "Transfer-Encoding:\r\n"); }},
    {"a transfer encoding of one's own", [](const string& b) { return sized(b, "Transfer-Encoding: x-own\r\n"); }, "packed (x-own)"},
    {"chunks with blanks before the size", [](const string& b) { return kChunked + "\r\n  " + chunks(b, 1 << 20) + "\r\n"; }},
    {"chunks with a tab before the extension", [](const string& b) { return kChunked + "\r\n" + chunks(b, 4096, "\t;x") + "\r\n"; }},
    {"a last chunk of many zeros", [](const string& b) { return kChunked + "\r\n" + hex(b.size()) + "\r\n" + b + "\r\n0000000000000000000000\r\n\r\n"; }},
    {"no line after the last chunk", [](const string& b) { return kChunked + "\r\n" + chunks(b); }},
    {"an end within the trailer", [](const string& b) { return kChunked + "\r\n" + chunks(b) + "X-Check"; }, "before the answer was whole"},
    {"an extension without end", [](const string& b) { return kChunked + "\r\n5;" + string(300'000, 'e') + b; }, "a line of more than 100 KB"},
    {"a size in 0x", [](const string& b) { return kChunked + "\r\n0x" + chunks(b, 1 << 20) + "\r\n"; }, "no valid size of a chunk"},
    {"no line break after a chunk", [](const string& b) { return kChunked + "\r\n" + hex(b.size()) + "\r\n" + b + "0\r\n\r\n"; }, "a chunk that is longer"},
    {"the body byte for byte of a chunk", [](const string& b) { return kChunked + "\r\n" + chunks(b, 1) + "\r\n"; }},
    {"an answer after the last chunk", [](const string& b) { return kChunked + "\r\n" + chunks(b) + "\r\n" + sized("{}"); }},
    {"103 with a header of 50,000 bytes before", [](const string& b) { return "HTTP/1.1 103 Early Hints\r\nLink: " + string(50'000, 'l') + "\r\n\r\n" + sized(b); }},
    {"103 that is packed before", [](const string& b) { return "HTTP/1.1 103 Early Hints\r\nContent-Encoding: gzip\r\n\r\n" + sized(b); }},
    {"103 of HTTP/1.0 before", [](const string& b) { return "HTTP/1.0 103 Early Hints\r\nConnection: close\r\n\r\n" + sized(b); }},
    {"103 in chunks before", [](const string& b) { return "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + sized(b); }},
    {"bare line feeds after 102", [](const string& b) { return "HTTP/1.1 102 Processing\n\n" + sized(b); }},
    {"100 and the answer in one piece with chunks", [](const string& b) { return "HTTP/1.1 100 \r\n\r\n" + kChunked + "Trailer: X\r\n\r\n" + chunks(b) + "X: 1\r\n\r\n"; }},
    {"gzip with zeros behind it", [](const string& b) { return sized(gzip(b) + string(64, '\0'), "Content-Encoding: gzip\r\n"); }},
    {"gzip and zeros that never end", [](const string& b) { return kChunked + "Content-Encoding: gzip\r\n\r\n" + chunks(gzip(b)).substr(0, chunks(gzip(b)).size() - 3) + many("40\r\n" + string(64, '\0') + "\r\n", 40'000); }},
    {"deflate and words that never end", [](const string& b) { return sized(zlib(b) + many("<!-- padding -->", 40'000), "Content-Encoding: deflate\r\n").substr(0, 300'000); }},
    {"gzip and another line of its end", [](const string& b) { return sized(gzip(b) + "\r\n", "Content-Encoding: gzip\r\n"); }},
    {"gzip of two members", [](const string& b) { return sized(gzip(b.substr(0, 20)) + gzip(b.substr(20)), "Content-Encoding: gzip\r\n"); }},
    {"gzip of many members in small chunks", [](const string& b) { return kChunked + "Content-Encoding: gzip\r\n\r\n" + chunks(gzip(b.substr(0, 1)) + gzip("") + gzip(b.substr(1, 30)) + gzip(b.substr(31)), 7) + "\r\n"; }},
    {"gzip that is cut off", [](const string& b) { return sized(gzip(b).substr(0, gzip(b).size() - 9), "Content-Encoding: gzip\r\n"); }, "packed (gzip)"},
    {"gzip with a wrong sum", [](const string& b) { string p = gzip(b); p[p.size() - 5] ^= 1; return sized(p, "Content-Encoding: gzip\r\n"); }, "packed (gzip)"},
    {"gzip and identity", [](const string& b) { return sized(gzip(b), "Content-Encoding: gzip, identity\r\n"); }},
    {"identity and gzip on two lines", [](const string& b) { return sized(gzip(b), "Content-Encoding: identity\r\nContent-Encoding: gzip \r\n"); }},
    {"identity twice", [](const string& b) { return sized(b, "Content-Encoding: identity,identity,\r\n"); }},
    {"gzip with a name of its own", [](const string& b) { return sized(gzip(b), "Content-Encoding: \tgzip \r\n"); }},
    {"gzip in an odd list", [](const string& b) { return sized(gzip(b), "Content-Encoding: gzip;q=1\r\n"); }, "packed (gzip;q=1)"},
    {"br that is none", [](const string& b) { return sized(b, "Content-Encoding: br\r\n"); }, "packed (br)"},
    {"compress", [](const string& b) { return sized(b, "Content-Encoding: x-compress\r\n"); }, "packed (x-compress)"},
    {"no encoding in words", [](const string& b) { return sized(b, "Content-Encoding: none\r\n"); }},
    {"a greeting of a mail server", [](const string&) { return string("220 mx.example ESMTP\r\n"); }, "no HTTP answer: \"220 mx"},
    {"words of a database", [](const string&) { return string("J\0\0\0\n5.7.1-log\0", 16); }, "no HTTP answer"},
};
// clang-format on

/// Sends with the pauses that are in it.
inline void play(Peer& peer, std::string_view text) {
  for (;;) {
    const std::size_t pause = text.find(kPause);
    if (!peer.send(text.substr(0, pause)) || pause == text.npos) return;
    text.remove_prefix(pause + kPause.size());
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
}

}  // namespace kling::test
