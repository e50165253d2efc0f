// Pictures as cameras, phones, editors and downloads leave them: each row is a file made here.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "api/request.h"
#include "base/image_facts.h"
#include "support.h"

using namespace kling;
using namespace kling::api;

namespace {

std::string number(std::uint64_t value, unsigned size, bool little = false) {
  std::string bytes;
  for (unsigned i = 0; i < size; ++i) {
    const unsigned place = little ? i : size - 1 - i;
    bytes += static_cast<char>(value >> 8 * place & 0xFF);
  }
  return bytes;
}

std::string segment(int marker, const std::string& data) {
  return "\xFF" + number(static_cast<unsigned>(marker), 1) + number(data.size() + 2, 2) + data;
}

std::string frame(int marker, int width, int height, int components = 3) {
  return segment(marker, "\x08" + number(unsigned(height), 2) + number(unsigned(width), 2) +
                             number(unsigned(components), 1) +
                             std::string(std::size_t(components) * 3, '\1'));
}

const std::string kStart = "\xFF\xD8";
// Coded data with a stuffed FF, a restart marker and fill bytes before the end.
const std::string kScan =
    segment(0xDA, std::string(10, '\1')) + std::string("abc\xFF\x00xyz\xFF\xD0zz\xFF\xFF\xD9", 15);

/// EXIF of a little or big endian writer, with an entry before the orientation.
std::string exif(bool little, int orientation, bool as_long = false) {
  const auto entry = [&](unsigned tag, unsigned type, unsigned value) {
    std::string bytes = number(tag, 2, little) + number(type, 2, little) + number(1, 4, little) +
                        number(value, type == 4 ? 4 : 2, little);
    bytes.resize(12);
    return bytes;
  };
  return (little ? "II" : "MM") + number(42, 2, little) + number(8, 4, little) +
         number(2, 2, little) + entry(0x0106, 3, 2) +
         entry(0x0112, as_long ? 4 : 3, unsigned(orientation)) + number(0, 4);
}

std::string app1(const std::string& block, const std::string& behind = "") {
  return segment(0xE1, std::string("Exif\0\0", 6) + block + behind);
}

std::string jpeg(const std::string& metadata, int marker = 0xC0, int width = 640,
                 int height = 480) {
  return kStart + metadata + frame(marker, width, height) + kScan;
}

std::string chunk(const std::string& type, const std::string& data) {
  return number(data.size(), 4) + type + data + "crc.";
}

std::string png(const std::string& before = "", const std::string& depth = "\x08\x02",
                bool interlaced = false) {
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", number(640, 4) + number(480, 4) + depth + std::string(2, '\0') +
                           number(interlaced, 1)) +
         before + chunk("IDAT", "data") + chunk("IDAT", std::string(9000, 'd')) + chunk("IEND", "");
}

std::string many(const std::string& segment, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += segment;
  return all;
}

struct Row {
  const char* name;
  std::string bytes;
  std::string format;  // "jpeg", "png", or what it is instead
  int width = 640, height = 480;
  bool whole = true;
};

std::vector<Row> rows() {
  const std::string icc = segment(0xE2, "ICC_PROFILE" + std::string(65'000, 'i'));
  const std::string xmp =
      segment(0xE1, "http://ns.adobe.com/xmp/extension/" + std::string(60'000, 'x'));
  const std::string thumbnail = kStart + frame(0xC0, 160, 120) + kScan;
  const std::string box = number(24, 4) + "ftyp";
  std::vector<Row> all = {
      {"JPEG", jpeg(""), "jpeg"},
      {"JPEG with 325 KB of ICC", jpeg(many(icc, 5)), "jpeg"},
      {"JPEG with 900 KB of XMP depth map", jpeg(many(xmp, 15)), "jpeg"},
      {"JPEG with 650 KB of unknown segments",
       jpeg(many(segment(0xEB, std::string(65'533, '\xFF')), 10)), "jpeg"},
      {"progressive JPEG", jpeg("", 0xC2), "jpeg"},
      {"arithmetic JPEG", jpeg("", 0xC9), "jpeg"},
      {"JPEG with fill bytes", kStart + "\xFF\xFF\xFF" + jpeg("").substr(2), "jpeg"},
      {"JPEG with a restart interval", jpeg(segment(0xDD, number(4, 2))), "jpeg"},
      {"JPEG with tables first",
       jpeg(segment(0xC4, std::string(400, '\2')) + segment(0xDB, std::string(65, '\1'))), "jpeg"},
      {"JPEG with a thumbnail in EXIF", jpeg(app1(exif(true, 1), thumbnail)), "jpeg"},
      {"JPEG with a thumbnail in JFXX",
       jpeg(segment(0xE0, std::string("JFXX\0\x10", 6) + thumbnail)), "jpeg"},
      {"CMYK JPEG", kStart + segment(0xEE, "Adobe") + frame(0xC0, 640, 480, 4) + kScan, "jpeg"},
      {"grey JPEG", kStart + frame(0xC0, 640, 480, 1) + kScan, "jpeg"},
      {"JPEG with a second picture behind it", jpeg("") + thumbnail, "jpeg"},
      {"JPEG with several scans",
       jpeg("").substr(0, jpeg("").size() - 2) + segment(0xC4, "t") + kScan, "jpeg"},
      {"JPEG with a video behind it", jpeg("") + box + "mp42", "jpeg"},
      {"JPEG whose EXIF says nothing", jpeg(app1("II*")), "jpeg"},
      {"JPEG whose EXIF points beyond", jpeg(app1("MM" + number(42, 2) + number(9'000'000, 4))),
       "jpeg"},
      {"JPEG turned, the number as LONG", jpeg(app1(exif(false, 8, true))), "jpeg", 480, 640},
      {"JPEG turned by a number that is none", jpeg(app1(exif(true, 9))), "jpeg"},
      {"JPEG without its end", jpeg("").substr(0, jpeg("").size() - 2), "jpeg", 640, 480, false},
      {"JPEG cut in its scan", jpeg("").substr(0, jpeg("").size() - 9), "jpeg", 640, 480, false},
      {"JPEG cut in its metadata", jpeg(many(icc, 5)).substr(0, 100'000), "jpeg", 0, 0, false},
      {"JPEG of its first bytes", jpeg("").substr(0, 4), "jpeg", 0, 0, false},
      {"JPEG whose height comes later", jpeg("", 0xC0, 640, 0), "JPEG without a size", 0, 0},
      {"PNG", png(), "png"},
      {"interlaced PNG", png("", "\x08\x06", true), "png"},
      {"PNG of 16 bits", png("", "\x10\x06"), "png"},
      {"PNG with 500 KB before its data",
       png(chunk("iCCP", std::string(500'000, 'i')) + chunk("tEXt", "a\0b")), "png"},
      {"PNG of a screen with a pixel size",
       png(chunk("pHYs", number(2, 4) + number(1, 4) + number(0, 1))), "png"},
      {"animated PNG", png(chunk("acTL", number(2, 8))), "png"},
      {"PNG of a size beyond all",
       "\x89PNG\r\n\x1a\n" +
           chunk("IHDR", number(60'000, 4) + number(60'000, 4) + "\x08\x02" + number(0, 3)) +
           chunk("IDAT", "data") + chunk("IEND", ""),
       "PNG of 60000x60000 pixels, where 16384 on a side are the limit", 60'000, 60'000},
      {"JPEG of a size beyond all", jpeg("", 0xC0, 65'535, 300),
       "JPEG of 65535x300 pixels, where 16384 on a side are the limit", 65'535, 300},
      {"PNG of no width",
       "\x89PNG\r\n\x1a\n" +
           chunk("IHDR", number(0, 4) + number(480, 4) + "\x08\x02" + number(0, 3)) +
           chunk("IEND", ""),
       "PNG without a size", 0, 0},
      {"PNG of no height",
       "\x89PNG\r\n\x1a\n" +
           chunk("IHDR", number(640, 4) + number(0, 4) + "\x08\x02" + number(0, 3)) +
           chunk("IEND", ""),
       "PNG without a size", 0, 0},
      {"PNG whose head is too short",
       "\x89PNG\r\n\x1a\n" + chunk("IHDR", number(640, 4) + number(480, 4)) + chunk("IEND", ""),
       "PNG without a size", 0, 0},
      {"PNG whose head is too long",
       "\x89PNG\r\n\x1a\n" + chunk("IHDR", number(640, 4) + number(480, 4) + number(0, 9)) +
           chunk("IEND", ""),
       "PNG without a size", 0, 0},
      {"PNG without a head", "\x89PNG\r\n\x1a\n" + chunk("IDAT", "data") + chunk("IEND", ""),
       "PNG without a size", 0, 0},
      {"JPEG of no width", jpeg("", 0xC0, 0, 480), "JPEG without a size", 0, 0},
      {"JPEG without a frame", kStart + kScan, "JPEG without a size", 0, 0},
      {"PNG of an iPhone's program", png().insert(8, chunk("CgBI", number(0, 4))),
       "a PNG as iPhone programs have it inside"},
      {"PNG behind a byte order mark", "\xEF\xBB\xBF" + png(),
       "behind a byte order mark, as if it were text", 0, 0},
      {"JPEG behind a byte order mark", "\xEF\xBB\xBF" + jpeg(""),
       "behind a byte order mark, as if it were text", 0, 0},
      {"PNG with its line ends converted", std::string("\x89PNG\n\x1a\n") + png().substr(8),
       "a PNG that was copied as text", 0, 0},
      {"PNG turned by EXIF", png(chunk("eXIf", exif(false, 6))), "png", 480, 640},
      {"PNG with bytes behind it", png() + "trailer", "png"},
      {"PNG without its end", png().substr(0, png().size() - 12), "png", 640, 480, false},
      {"PNG cut in its end", png().substr(0, png().size() - 1), "png", 640, 480, false},
      {"PNG cut in its data", png().substr(0, 3000), "png", 640, 480, false},
      {"PNG cut in its head", png().substr(0, 20), "png", 0, 0, false},
      {"WebP", std::string("RIFF\x24\0\0\0WEBPVP8 ", 16), "WebP", 0, 0},
      {"GIF", "GIF89a" + std::string(20, '\0'), "GIF", 0, 0},
      {"BMP", "BM" + std::string(60, '\0'), "BMP", 0, 0},
      {"TIFF, little endian", std::string("II*\0\x08\0\0\0", 8), "TIFF", 0, 0},
      {"TIFF, big endian", std::string("MM\0*\0\0\0\x08", 8), "TIFF", 0, 0},
      {"HEIC", box + "heic" + number(0, 4) + "mif1heic", "HEIC", 0, 0},
      {"HEIC by its first brand", box + "mif1" + number(0, 4) + "mif1heic", "HEIC", 0, 0},
      {"AVIF", box + "avif" + number(0, 4) + "mif1", "AVIF", 0, 0},
      {"AVIF among its brands", box + "mif1" + number(0, 4) + "avifmif1", "AVIF", 0, 0},
      {"JPEG XL", "\xFF\x0A" + std::string(30, '\0'), "JPEG XL", 0, 0},
      {"SVG", "<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", 0, 0},
      {"PDF", "%PDF-1.7", "a PDF", 0, 0},
      {"MP4", box + "isom" + number(512, 4), "MP4 or MOV", 0, 0},
      {"3GP", box + "3gp5" + number(512, 4), "MP4 or MOV", 0, 0},
      {"M4A", box + "M4A " + number(512, 4), "M4A", 0, 0},
      {"no byte", "", "empty", 0, 0},
      {"a text", "not a picture\n", "text", 0, 0},
      {"a text with a byte order mark", "\xEF\xBB\xBFhello", "text", 0, 0},
      {"a byte order mark", "\xEF\xBB\xBF", "text", 0, 0},
      {"a UTF-16 text", std::string("\xFF\xFEh\0i\0", 6), "text", 0, 0},
      {"a web page", "<!DOCTYPE html><title>404</title>", "a web page or other XML", 0, 0},
      {"a playlist", "#EXTM3U\n#EXTINF:1,\na.ts\n", "a playlist", 0, 0},
      {"a playlist with a byte order mark", "\xEF\xBB\xBF#EXTM3U\n", "a playlist", 0, 0},
      {"a list for ffmpeg", "ffconcat version 1.0\nfile a.png\n", "a list of files", 0, 0},
      {"zero bytes", std::string(1000, '\0'), "of a kind not known here", 0, 0},
  };
  static const std::string kNames[] = {"JPEG of EXIF 1", "JPEG of EXIF 2", "JPEG of EXIF 3",
                                       "JPEG of EXIF 4", "JPEG of EXIF 5", "JPEG of EXIF 6",
                                       "JPEG of EXIF 7", "JPEG of EXIF 8"};
  for (int i = 1; i <= 8; ++i)
    for (const bool little : {true, false})
      all.push_back({kNames[i - 1].c_str(), jpeg(segment(0xE0, "JFIF") + app1(exif(little, i))),
                     "jpeg", i > 4 ? 480 : 640, i > 4 ? 640 : 480});
  return all;
}

}  // namespace

TEST_CASE("the size of a picture is found wherever it stands, and a cut one is noticed") {
  for (const Row& row : rows()) {
    CAPTURE(row.name);
    const ImageFacts facts = read_image_facts(row.bytes);
    CHECK((facts.format.empty() ? facts.is : facts.format) == row.format);
    CHECK(facts.width == row.width);
    CHECK(facts.height == row.height);
    CHECK(facts.whole == row.whole);
    if (facts.format.empty()) CHECK(!facts.cure.empty());
  }
}

TEST_CASE("a WebP picture is turned as its EXIF says") {
  const auto chunk_of = [](const std::string& type, const std::string& data) {
    return type + number(data.size(), 4, true) + data + std::string(data.size() % 2, '\0');
  };
  for (const std::string& before : {std::string(), std::string("Exif\0\0", 6)})
    for (const bool little : {true, false}) {
      const std::string chunks = "WEBP" + chunk_of("VP8X", std::string(10, '\0')) +
                                 chunk_of("VP8 ", "odd") +
                                 chunk_of("EXIF", before + exif(little, 6));
      CHECK(read_image_facts("RIFF" + number(chunks.size(), 4, true) + chunks).orientation == 6);
    }
}

TEST_CASE("a picture is looked at in pieces, and its metadata is not read") {
  std::size_t pieces = 0;
  const std::string bytes =
      jpeg(many(segment(0xE2, std::string(65'000, 'i')), 100));  // 6.5 MB, the size at its end
  const ImageFacts facts = read_image_facts([&](std::uint64_t at, std::size_t count) {
    ++pieces;
    CHECK(count <= 64u << 10);
    return at < bytes.size() ? bytes.substr(at, count) : "";
  });
  CHECK(facts.width == 640);
  CHECK(pieces < 120);
}

TEST_CASE("a picture cut at any place is cut, and bytes that lie are no picture") {
  for (const std::string& whole : {png(chunk("eXIf", exif(true, 6))), jpeg(app1(exif(true, 6)))})
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      const ImageFacts facts = read_image_facts(whole.substr(0, cut));
      CHECK((facts.format.empty() || !facts.whole));
    }
  // A chunk or segment that claims to be endless.
  CHECK(!read_image_facts("\x89PNG\r\n\x1a\n" + number(0xFFFFFFFF, 4) + "IHDR").whole);
  CHECK(!read_image_facts(kStart + std::string(3, '\xFF') + "\xE1" + number(0, 2)).whole);
}

TEST_CASE("a picture that is cut or of another kind is refused with what it is and what to do") {
  const auto refused = [](const std::string& bytes) {
    Request request = test::request_with("image2video", "{}");
    request.fields["image"] = "picture.png";
    REQUIRE(normalize(*find_endpoint("image2video"), request).empty());
    request.media.at(0).facts = read_image_facts(bytes);
    request.media.at(0).facts->bytes = bytes.size();
    const auto findings = check(*find_endpoint("image2video"), request);
    REQUIRE(findings.size() == 1);
    return findings[0].message + "; " + findings[0].hint;
  };
  CHECK(refused(number(24, 4) + "ftypheic") ==
        "image is HEIC; the service takes JPEG and PNG pictures; save it as JPEG, for example with "
        "heif-convert IN OUT.jpg");
  CHECK(refused("GIF89a").find("ffmpeg -i IN OUT.png") != std::string::npos);
  CHECK(refused(number(24, 4) + "ftypisom").find("kling.still(PATH") != std::string::npos);
  CHECK(refused("#EXTM3U").find("is a playlist") != std::string::npos);
  CHECK(
      refused(jpeg("", 0xC0, 20'000, 9'000)) ==
      "image is JPEG of 20000x9000 pixels, where 16384 on a side are the limit; the service takes "
      "JPEG and PNG pictures; make it smaller");
  CHECK(refused(png().insert(8, chunk("CgBI", number(0, 4)))).find("sips -s format png") !=
        std::string::npos);
  CHECK(refused("\xEF\xBB\xBF" + png()).find("behind a byte order mark") != std::string::npos);
  CHECK(refused(png().substr(0, 3000)) ==
        "image ends after 3000 bytes, in the middle of its picture; download or save it again");
}
