// Slips that the compiler stumbles over: the line, the place in it, what to write instead.
#include <algorithm>
#include <cctype>
#include <clocale>
#include <regex>

#include "api/endpoint.h"
#include "api/text.h"
#include "base/terminal.h"
#include "lua/guard.h"
#include "lua/manual.h"

namespace kling::lua {
namespace {

struct SyntaxSlip {
  const char* where;  ///< a pattern of the lines that do not compile and of the message
  const char* says;
  const char* told = "";  ///< a pattern of the message alone
};
constexpr const char* kNamed = "named values stand in { and }: kling.text2video { prompt = \"…\" }";
// The line before is looked at, too: the compiler stumbles over the word that follows. What stands
// in quotes is left out.
constexpr SyntaxSlip kSyntax[] = {
    {"```", "leave out the lines with ```: they belong to the page, not to the script"},
    {"\n *([$%#>] +)?kling(>| (run|plan|repl|jobs|login)\\b)",
     "leave out the prompt kling>; a command such as kling run is for the shell"},
    {"“|”|„|«|»|‘|’|`", "use straight quotes: \"…\"; a text over several lines stands in [[…]]"},
    {"\xC2\xA0", "there is a no-break space in this line: type the space anew"},
    {"\xEF\xBB\xBF|\xE2\x80\x8B", "there is an invisible letter in this line: type it anew"},
    {"−|×|÷", "write - for minus, * for times, / for divided by"},
    {"(，|（|）|：|；|＝|、|。|［|］|｛|｝)",
     "there is a wide sign in this line: type it anew, as in , ( ) :", "near '<"},
    {"–|—", "there is a long dash in this line: a minus is -, a comment begins with --"},
    {"…", "there is … in this line: put what belongs there"},
    {"invalid escape",
     "in a text \\ begins a special character: write / in a path, \\\\ for one \\"},
    {"\\w\\[[^\\]\n]*(:|\\.\\.)[^\\]\n]*\\]",
     "a part of a list: { table.unpack(list, 1, 2) }, of a text: text:sub(1, 2)",
     "near ':'|malformed number"},
    {"\"\":[a-z]\\w*[( ]|\"\"\\.(length\\b|\\w+\\()",
     "a text in quotes stands in brackets before its method: (\"A fox\"):upper(); # counts it",
     "^(?!.*'\\}' expected).*near '[:.]"},
    {"\\bfunction\\b[^(\n]*\\([^)\n]*=",
     "Lua has no defaults: mode = mode or \"pro\" is the first line of the function",
     "'\\)' expected .*near '='"},
    {"\\w(->|::)\\w+ *([({]|\"\")", "write kling.text2video { … }, job:wait()"},
    {"\\basync +\\w", "leave out async: a job runs by itself, and job:wait() gives its clip"},
    {"\n *with +\\w", "Lua has no with: local file = assert(io.open(path)) … file:close()"},
    {"[^\"]\"\"\"\"(?!\")", "the text ends at the ' inside of it: put it in double quotes",
     "near ''"},
    {"\\?\\?|\\?\\.\\w", "Lua has no ?? and ?.: write a or b, a and a.b"},
    {"\\?[^:\n]*:", "Lua has no a ? b : c: write a and b or c"},
    {"[{,]\\s*\"\" *=>|\\{ *\\w+ *=>", "a field is written name = value: { prompt = \"…\" }"},
    {"[{,]\\s*\"\" *=[^=]", "a field's name stands without quotes: { prompt = \"…\" }"},
    {"(if|while|until)\\b[^\n]*\\([^\n=]*[^=~<>]=[^=]",
     "to compare two values, write ==", "'\\)' expected near '='"},
    {"[(,]\\s*\\w+ *=[^=]", kNamed, "'\\)' expected .*near '='"},
    {"kling\\.\\w+ (\\w+ *=[^=]|\"\" *,)", kNamed},
    {"\\.\\.\\.\\w", "Lua spreads no table: for name, value in pairs(t) do copy[name] = value end"},
    {"([{,]|\n *local )\\s*\\w+-[\\w-]+ *=[^=]", "a name has _ in place of -: negative_prompt = …"},
    {":then *\\(", "write job:wait(), or job:on_done(function(clip, err) … end)"},
    {"((duration|seconds|crossfade|timeout) *= *|(trim|frame|sleep)\\()[0-9.]+ "
     "*(:[0-9]|(s|sec|min|m|h|ms)[a-z]*\\b)",
     "seconds are plain numbers: duration = 5, clip:trim(1, 4)"},
    {"\"\":(upper|lower|rep|format|sub|gsub|match|find|len|reverse|byte) *\\(",
     "a text in quotes stands in brackets before its method: (\"A fox\"):upper(); # counts it",
     "near ':'"},
    {":[a-z]\\w* *\\(", "is a } missing before the colon?", "'\\}' expected .*near ':'"},
    {"\\}\\s*:\\w", "is a ) missing before the colon?", "'\\)' expected .*near ':'"},
    {";", "is a ) missing before it? what stands in ( ) is separated by commas",
     "'\\)' expected near ';'"},
    {"\"\" *\\. *[\\w\"]|\\w \\. \"\"", "texts are joined with ..: \"A \" .. name"},
    {"= *\\([^()\n]*,", "values have no brackets: local a, b = 1, 2", "'\\)' expected near ','"},
    {", *,", "one of the two commas is too many", "unexpected symbol near ','"},
    {"\\bfor \\w+ *(=|in) *\\w+( +to |:[0-9]| *\\.\\.)|\\bfor *\\(|\\bfor \\w+ of |\n *foreach .* "
     "(in|as|of) ",
     "write for i = 1, 3 do … end, or for i, item in ipairs(list) do … end"},
    {"\\blocal [0-9]", "a name begins with a letter: shot1"},
    {"\\b(end|repeat|in|not|and|or|then|until|break|goto|do|for|if|return|while|else|function) "
     "*=[^=]",
     "this is a word of Lua's own: choose another name",
     "near "
     "'(end|repeat|in|not|and|or|then|until|break|goto|do|for|if|return|while|else|function)'"},
    {"[.:](end|repeat|in|not|and|or|then|until|break|goto|do|for|if|return|while|else|function)\\b",
     "this is a word of Lua's own: choose another name", "<name> expected near '\\w"},
    {"\\bfunction *\\(", "a function here has a name: local function name(…) … end",
     "<name> expected near '\\('"},
    {"\"\"(s|t|re|ll|ve|m|d)\\b", "the text ends at the ' inside of it: put it in double quotes"},
    {"\"\"\"|= *\"\"'", "a text over several lines stands in [[ and ]]"},
    {"\\*\\*", "a power is written 2 ^ 3"},
    {"\\bf\"\"", "Lua puts no {name} into a text: write \"A \" .. animal"},
    {"\n *kling \\w+", "a dot is missing: kling.text2video { … }"},
    {"\\b[A-Za-z_]\\w*\\.[0-9]+\\b", "an item of a list is list[1]"},
    {"[0-9]_[0-9]", "a number is written without _: 1000", "malformed number"},
    {"[0-9]\\.\\.[0-9]", "a comma separates two numbers: clip:trim(1, 4)", "malformed number"},
    {"malformed number|[0-9] *: *[0-9]",
     "what is no plain number stands in quotes: \"16:9\", \"4k\""},
    {"!=|<>", "Lua's \"not equal\" is ~="},
    {"&&|\\|\\||near '!'", "Lua writes and, or, not"},
    {"([-+*/%^]|\\.\\.)=|= ?[+*/]|\\+\\+|\n *\\w+--", "Lua has no +=, no ++: write x = x + 1"},
    {"===|near 'is'|'then' expected near '='", "to compare two values, write =="},
    {"= *(\\$ *[0-9]|[0-9.]+ *\\$)", "an amount is a plain number of US$: budget = 5"},
    {"near '\\$'", "a name has no $: write \"A \" .. animal"},
    {"=>|->|\\blambda\\b", "a function is written function(x) return … end"},
    {":=", "write = instead of :="},
    {"\n *(#|/\\*|//)|[ )}](# |// +[A-Za-z])", "a comment begins with --"},
    {"require kling", "write require \"kling\", in quotes"},
    {"= ~/", "a path stands in quotes, and begins with os.getenv(\"HOME\") instead of ~"},
    {"\n *local \\w+ *: *\\w+ *=|\\bfunction[^(\n]*\\([^)\n]*\\w *: *\\w",
     "Lua has no types: leave out the colon and what follows it"},
    {"\n *local \\w+[:.[]", "leave out local: it names something new"},
    {"\\blocal function \\w+[:.]", "leave out local: it names something new",
     "'\\(' expected near '[:.]'"},
    {"\n *(local )?\\w+ *= *\\w+ *=[^=]", "one value at a time: b = 3, then a = b", "near '='"},
    {"\n *(del|delete) +\\w", "write shots[1] = nil, or table.remove(shots, 1)"},
    {"\\bif\\b[^\n]*\\bin\\b", "a loop finds it: for i, item in ipairs(list) do … end",
     "'then' expected near '(in|not)'"},
    {"= *[\\w\".]+ if .* else ", "a value that depends: x = a and b or c"},
    {"\n *(const|let|var|auto) +\\w", "a new name begins with local: local shot = …"},
    {"\n *(import|from|include|using|use) +(?![=,.:(])[^\n]*(kling|\"\")",
     "begin with: local kling = require \"kling\""},
    {"\n *(import|from|include|using|use|package) +[\\w<{*]",
     "leave it out: os, io, math, string and table are there; a file of yours: require \"name\""},
    {"\n *(throw|raise) +\\w", "write error(\"…\")"},
    {"\n *unless +\\w", "write if not … then … end"},
    {"\n *(class|struct|interface|enum|public|private|static) +\\w",
     "Lua has no classes: a table holds values, local function name(…) … end is a function"},
    {"\\bend(if|for|while)\\b|\n *end (if|for|while|function) *;?\n",
     "a block ends with end alone"},
    {"\n *(print|error|assert) +(\\w|\"\" *,)|kling\\.\\w+ +[0-9]",
     "a call has brackets, such as print(x)"},
    {"\n *(try|catch|except)( *\n| +\\w|:| *\\{)",
     "write local ok, problem = pcall(function() … end)"},
    {"\n *((switch|case)[ (]+\\w|match +\\w)|\\b(elif|elsif)\\b",
     "write if … then … elseif … then … else … end"},
    {"(\n|then|do|else) *continue *(;|\n|end)",
     "Lua has no continue: put the rest of the loop into if … then … end"},
    {"\n *(for|if|while|else)\\b.*: *\n|\n *(def|fn|func) |'(do|then)' expected|ol near "
     "'\\{'|'end'.*'\\}'",
     "write for … do … end, while … do … end, if … then … end, function name(…) … end"},
    {"[=(,] *\\[(?!\\[|=|[^\\]\n]*\\] *=)|'\\]' expected near '='",
     "a table stands in { and }, not in [ and ]"},
    {"\n *local +(?!function\\b)\\w+ +\\w+ *\\(", "write local function name(…) … end"},
    {"unfinished long", "what begins with [[ ends with ]]"},
    {"unfinished string", "close this text with a quote; several lines stand in [[ and ]]"},
    {"", "is a ] missing before it?", "'\\]' expected"},
    {"\n *[\\w.:]+ *\"\" *\\.\\.", "a call in front of .. has brackets: print(\"a\" .. x)",
     "near '\\.\\.'"},
    {"", "one = sets a value: x = 5; two compare: if x == 5 then", "syntax error near '=='"},
    {"\n *\\w+[^\n(={]* (the|an?|of|at|with|over|from|by|into|on|through|in) \\w[^\n(={]*\n",
     "if this is a prompt, write kling.text2video(\"…\")", "syntax error near '\\w"},
    {"", "a value alone is no statement: return x gives it back, name(…) calls",
     "syntax error near 'end'"},
    {"<eof> expected near 'end'", "this end is one too many"},
    {"<eof> expected near '(else|elseif|until)'",
     "an end above is one too many, or its if is missing"},
    {"<eof> expected near '\\w", "return is the last line of its block: nothing follows it"},
    {"= *[})]", "a value is missing behind the =", "unexpected symbol near '[})]'"},
    {", *\\)", "leave out the comma before the )", "unexpected symbol near '\\)'"},
    {"(unexpected symbol|<eof> expected) near '[})\\]]'",
     "it is one too many, or what it closes was not opened"},
    {"unexpected symbol near 'if'", "a value that depends: x = a and b or c"},
    {"assign to const", "it is declared <const>: leave that out, or take a new name"},
    {"break outside", "break ends a loop: a function ends with return, the script with os.exit()"},
    {"no visible label",
     "goto needs ::name:: where it goes to, such as before the end of the loop"},
    {"near '<\\\\[12]", "a name has the letters a to z, digits and _; a text stands in quotes"},
    {"[{(,]\\s*(\\w+: +|(prompt|image|duration|mode|name|sound|aspect_ratio) *:)\\w",
     "in a table a field is written name = value, not name: value", "function arguments exp"},
    {"function arguments exp", "a method is called with brackets, such as job:wait()"},
    {"syntax error near <eof>",
     "the last word alone is no statement: name(…) calls, name = … sets"},
    {"'end' expected .*near '", "return is the last line of its block; or an end is missing above"},
};

/// `line`, in which the compiler stumbled at `column` (npos: it is not known), after the one before
/// it.
std::string syntax_hint(const std::string& message, std::string_view before,
                        const std::string& line, const std::string& near, std::size_t column) {
  static const std::regex& texts =
      *new std::regex(R"("(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*'|\[(=*)\[[^\n]*?\]\3\])");
  static const std::regex& comments = *new std::regex(R"((^|\s)--[^\n]*|--[^\s;)][^\n]*)");
  const std::string lines = std::string(before.substr(0, 1000)) + "\n" + line.substr(0, 1000);
  std::string code = std::regex_replace(std::regex_replace(lines, texts, "\"\""), comments, "");
  if (std::smatch end; std::regex_search(code, end, std::regex("\\]=*\\]")) &&
                       std::ranges::count(end.prefix().str(), '[') < 2)
    code.erase(0, std::size_t(end.position()));  // of a text that began above
  const std::string both = "\n" + code + "\n" + message.substr(0, 1000);
  for (const SyntaxSlip& slip : kSyntax)
    if (std::regex_search(message, std::regex(slip.told)) &&
        std::regex_search(both, std::regex(slip.where)))
      return slip.says;
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const std::size_t at = std::min(column, line.size()), some = std::min<std::size_t>(at, 100);
  const std::string up_to = line.substr(at - some, some);
  if (up_to.ends_with('\'') && letter(near[0]))
    return "the text ends at the ' before " + near + ": put it in double quotes";
  if (up_to.ends_with(" \"") && letter(near[0]))
    return "the text ends at the \" before " + near + ": inside of a text write \\\"";
  const bool named = message.find("<name> expected") != message.npos;  // after a colon
  if (near == ":" || (named && line.find(':') != line.npos))
    return "in a table a field is written name = value, not name: value";
  const std::string open = text_between(message, "to close '", "'");
  const std::string from = text_between(message, "at line ", ")");
  std::smatch match;
  if (near == "<eof>" && !open.empty())
    return "what \"" + open + "\" began in line " + from + " is not closed";
  const std::string closing = text_between(message, ": '", "' expected");
  if (near != "<eof>" && (closing == "}" || closing == ")")) {
    const std::string comma = "is a comma missing before " + near;
    if (column < line.size() &&
        std::regex_search(line.substr(column, 100), std::regex("^\\w+ *=[^=]")))
      return comma + "?";
    if (from.empty())
      return comma + (letter(near[0]) ? "? a text stands in quotes" : ", or a " + closing + "?");
    static constexpr std::string_view kStarts =
        "local for if while repeat return function do end else elseif until break";
    return (api::has_word(kStarts, near) ? "is" : comma + ", or") + " a " + closing +
           " missing after line " + from + "?";
  }
  // The word before: only a misspelt one is not understood there.
  const std::string words =
      std::string(before.substr(before.size() - std::min<std::size_t>(before.size(), 100))) + "\n" +
      up_to;
  if (std::regex_search(words, match, std::regex("([a-z]+)\\s*$")))
    if (const std::string word = api::did_you_mean(
            match[1].str(), {"local", "function", "return", "while", "until", "repeat", "for"});
        !word.empty() && word != match[1])
      return "did you mean " + word + "?";
  return {};
}

}  // namespace

/// Where in `line`, which begins at `start` of the source, the compiler stumbles over `token`: what
/// stands up to there is told in the same words, and nothing less is. npos: it is not seen.
static std::size_t stumbled_at(std::string_view source, std::size_t start, std::string_view line,
                               const std::string& token, std::string_view message) {
  lua_State* L = luaL_newstate();
  const auto same = [&](std::size_t size) {
    std::string head(source.substr(0, start + size));
    if (head.starts_with("\xEF\xBB\xBF")) head.erase(0, 3);
    if (head.starts_with('#')) head.insert(0, "--");
    const bool told = luaL_loadbufferx(L, head.data(), head.size(), "=", "t") == LUA_ERRSYNTAX &&
                      std::string_view(lua_tostring(L, -1)).ends_with(message);
    lua_settop(L, 0);
    return told;
  };
  std::size_t less = 0, enough = line.size() + 1;  // an unfinished text ends with the line
  // A megabyte of table is not read twenty times.
  const bool seen = L && !token.empty() && source.size() < 1u << 20 && same(enough);
  while (seen && enough - less > 1) {
    const std::size_t middle = (less + enough) / 2;
    (same(middle) ? enough : less) = middle;
  }
  if (L != nullptr) lua_close(L);
  if (token.empty()) return line.npos;
  return seen ? line.rfind(token, enough - std::min(enough, token.size())) : line.find(token);
}

/// Blanks as wide as the text is on a terminal; tabs stay.
static std::string blanks(std::string_view text) {
  const locale_t host = ::uselocale(locale_t{});
  use_utf8();
  std::string margin;
  for (std::size_t at = 0, end = 0; at <= text.size(); at = end + 1) {
    end = std::min(text.find('\t', at), text.size());
    margin +=
        std::string(columns_of(text.substr(at, end - at)), ' ') + std::string(text.substr(end, 1));
  }
  ::uselocale(host);
  return margin;
}

std::string explain_syntax(const std::string& message, std::string_view source) {
  // film.lua:2: unexpected symbol near '<\226>'
  std::smatch place, jump;
  if (!std::regex_search(message, place, std::regex(":([0-9]{1,9}): "))) return message;
  std::string start(source.substr(0, 4));
  if (const Status read = api::take_byte_order_mark(start, place.prefix()); !read)
    return read.error().message + "\n  do: " + read.error().hint;
  const std::size_t named = message.rfind(" near ");
  std::string near = named == message.npos ? "" : message.substr(named + 6);
  if (near.size() > 2 && near.front() == '\'') near = near.substr(1, near.size() - 2);
  std::string token = near;
  if (near.starts_with("<\\")) {  // a byte that begins no word of Lua's
    token = std::string(1, static_cast<char>(std::atoi(near.c_str() + 2)));
    near.clear();
  }
  std::size_t number = std::stoul(place[1]);
  if (std::regex_search(message, jump,
                        std::regex("(break|goto)>?( outside loop)? at line ([0-9]{1,9})$"))) {
    number = std::stoul(jump[3]);
    token = jump[1];
  }
  std::string_view rest = source, before;
  for (std::size_t i = 1; i < number && !rest.empty(); ++i) {
    std::size_t end = std::min(rest.find_first_of("\r\n"), rest.size());
    if (!api::is_blank(rest.substr(0, end))) before = rest.substr(0, end);
    const std::string_view both = rest.substr(end, 2);
    rest.remove_prefix(std::min(end + (both == "\r\n" || both == "\n\r" ? 2 : 1), rest.size()));
  }
  std::string line(rest.substr(0, rest.find_first_of("\r\n")));
  std::size_t column = line.empty()      ? line.npos
                       : near == "<eof>" ? line.size()
                                         : stumbled_at(source, source.size() - rest.size(), line,
                                                       token, place.suffix().str());
  std::string_view end = source.substr(0, source.find_last_not_of(" \t\r\n") + 1);
  end.remove_prefix(end.find_last_of("\r\n") + 1);
  const bool else_if = near == "<eof>" && std::regex_search(source.begin(), source.end(),
                                                            std::regex("\\belse +if\\b"));
  const std::string hint = else_if ? "write elseif, in one word; else if wants an end of its own"
                           : line.empty()
                               ? syntax_hint(message, "", std::string(end), near, line.npos)
                               : syntax_hint(message, before, line, near, column);
  std::string text = message;
  if (!line.empty()) {
    // What does not fit into a line of a terminal is left out.
    constexpr std::size_t kShown = 74;
    const auto whole = [&line](std::size_t at) {
      while (at > 0 && at < line.size() && (line[at] & 0xC0) == 0x80) --at;
      return at;
    };
    if (line.size() > kShown && column != line.npos) {
      std::size_t from = std::min(column, line.size() - kShown / 2);
      from = whole(from - std::min(from, kShown / 2));
      line.erase(0, from);
      column -= from;
    }
    line.resize(whole(std::min(line.size(), kShown)));
    text += "\n  " + line;
    if (column != line.npos) text += "\n  " + blanks(line.substr(0, column)) + "^";
  }
  if (!hint.empty()) text += "\n  do: " + hint;
  return text;
}

}  // namespace kling::lua
