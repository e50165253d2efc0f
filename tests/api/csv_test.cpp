// Tables as they are in the world, and one sentence for each fault.
#include <doctest/doctest.h>

#include "api/text.h"

using namespace kling;
using namespace kling::api;

TEST_CASE("a table is read however a spreadsheet has saved it") {
  const struct {
    const char* what;
    std::string text;
    const char* rows;
  } cases[] = {
      {"plain", "prompt,duration\nA fox,5\nA crow,10\n",
       R"([{"prompt":"A fox","duration":"5"},{"prompt":"A crow","duration":"10"}])"},
      {"a mark, semicolons, Windows", "\xEF\xBB\xBFprompt;take\r\n\"A fox; red\";2\r\n",
       R"([{"prompt":"A fox; red","take":"2"}])"},
      {"a table of a chat", "| prompt | name |\n|:---|---|\n| A fox | a |\n",
       R"([{"prompt":"A fox","name":"a"}])"},
      {"tabs", "prompt\tname\nA fox, a crow\tshot 1",
       R"([{"prompt":"A fox, a crow","name":"shot 1"}])"},
      {"quotes and line breaks", "prompt,name\n\"He says \"\"no\"\"\nand goes\",\"a\" \n",
       R"([{"prompt":"He says \"no\"\nand goes","name":"a"}])"},
      {"trailing commas, empty rows and cells", "prompt,name,,\n A fox ,,,\n,,,\n\n\"\",b,,\n",
       R"([{"prompt":"A fox"},{"name":"b"}])"},
      {"line ends of an old Mac", "prompt,name\rA fox,a\r\"A\ncrow\",b",
       R"([{"prompt":"A fox","name":"a"},{"prompt":"A\ncrow","name":"b"}])"},
      {"a line that names the separator", "sep=;\r\nprompt;name\r\nA fox, red;a\r\n",
       R"([{"prompt":"A fox, red","name":"a"}])"},
      {"another separator", "\xEF\xBB\xBFSEP=|\nprompt|name\nA; fox, red|a\n",
       R"([{"prompt":"A; fox, red","name":"a"}])"},
      {"a column of that name", "sep=a,b\n1,2\n", R"([{"sep=a":"1","b":"2"}])"},
      {"two byte order marks", "\xEF\xBB\xBF\xEF\xBB\xBFprompt,name\nA fox,a\n",
       R"([{"prompt":"A fox","name":"a"}])"},
      {"no-break spaces around cells",
       "prompt\u00a0,\u00a0name\n\u00a0A\u00a0fox\u00a0,\"a\"\u00a0\n\u3000\"b\" ,\u202fc\n",
       "[{\"prompt\":\"A\u00a0fox\",\"name\":\"a\"},{\"prompt\":\"b\",\"name\":\"c\"}]"},
      {"form feeds between pages", "\fprompt,name\n\f\nA fox,a\f\n",
       R"([{"prompt":"A fox","name":"a"}])"},
      {"tabs behind a quote", "prompt,name\n\"A fox\"\t,a\n", R"([{"prompt":"A fox","name":"a"}])"},
      {"a column named #, and a cell that begins so", "#,prompt\n1,#1 fan\n2,\"#2\"\n",
       R"([{"#":"1","prompt":"#1 fan"},{"#":"2","prompt":"#2"}])"},
      {"a first cell in quotes that begins with #", "prompt\n\"#1 fan\"\n",
       R"([{"prompt":"#1 fan"}])"},
      {"the end of a text on DOS", "prompt,name\r\nA fox,a\r\n\x1A\r\n",
       R"([{"prompt":"A fox","name":"a"}])"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.what);
    const auto rows = read_csv(one.text, "shots.csv");
    REQUIRE(rows.ok());
    CHECK(*rows == Json::parse(one.rows));
  }
}

TEST_CASE("a fault of a table is told with its row and column") {
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"prompt,name\nA fox,a\nA crow, red,b\n",
       "shots.csv: row 3, column 3: \"b\" has no name above it"},
      {"prompt,name\n\"A fox,a\n", "row 2, column prompt: a quote is not closed"},
      {"prompt,name\n\"A\" fox\",a\n", "row 2, column prompt: a quote is not closed, or something"},
      {"prompt,name\n\"A\" fox,a\n", "row 2, column prompt: a quote is not closed, or something"},
      {"prompt,name\nA fox,a\n#A crow,b\n", "row 3, column 1: # begins no comment here"},
      {"# my shots\nprompt,name\nA fox,a\n", "row 1, column 1: # begins no comment here"},
      {"sep=\"\nprompt\"name\n", "row 1, column 1: a quote cannot separate"},
      {"name,prompt,name\n", "row 1, column name: two columns have this name"},
      {"A fox,5\nA crow,10\n", "row 1, column 2: the first row names the columns"},
      {"", "shots.csv is empty"},
      {"prompt,name\n\n,\n", "shots.csv has no rows below its first"},
      {"<!DOCTYPE html>\n<title>Sign in</title>\n",
       "shots.csv is a web page or other XML, no table"},
      {"PK\3\4 and a table of a spreadsheet", "shots.csv is a ZIP archive, no table"},
      {std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16), "shots.csv is PNG, no table"},
      {"[{\"prompt\": \"A fox\"}]", "shots.csv is JSON, no table"},
      {"prompt\nA f\xF6x\n", "shots.csv is not UTF-8"},
      {std::string("p\0r\0", 4), "shots.csv is text in UTF-16"},
      {std::string("\0p\0r\0o", 6), "shots.csv is text in UTF-16"},
      {std::string("\xFF\xFE\0\0p\0\0\0", 8), "shots.csv is text in UTF-32"},
      {std::string("\0\0\xFE\xFF\0\0\0p", 8), "shots.csv is text in UTF-32"},
      {std::string("p\0\0\0r\0\0\0", 8), "shots.csv is text in UTF-32"},
      {std::string("a\0b,c\n1,2\n", 10), "shots.csv is no text: it holds a zero byte"},
      {std::string("ab,c\n1,2\0\n", 10), "shots.csv is no text: it holds a zero byte"},
  };
  for (const auto& one : cases) {
    const auto rows = read_csv(one.text, "shots.csv");
    CAPTURE(one.says);
    REQUIRE_FALSE(rows.ok());
    CAPTURE(rows.error().message);
    CHECK(rows.error().message.find(one.says) != std::string::npos);
  }
  Json numbers;
  REQUIRE(read_csv("prompt\nA fox\n\n\"A\ncrow\"\n", "shots.csv", &numbers).ok());
  CHECK(numbers == Json::parse("[2, 4]"));
}
