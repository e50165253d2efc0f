// The manual pages, written from the tree of commands, the endpoint table and the module's manual.
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "api/endpoint.h"
#include "api/text.h"
#include "cli/command.h"
#include "lua/manual.h"

namespace kling::docs {

/// A page in the language of man(7). Text is escaped; `raw` is not.
class Page {
 public:
  Page(const char* title, const char* section, const char* purpose) {
    text_ =
        std::string(".TH ") + title + " " + section + "\n.ad l\n.nh\n.SH NAME\n" + purpose + "\n";
  }
  Page& section(const std::string& name) { return raw(".SH " + name); }
  Page& subsection(const std::string& name) { return raw(".SS \"" + escaped(name) + "\""); }
  Page& paragraph(const std::string& words) { return raw(".PP\n" + guarded(words)); }
  Page& item(const std::string& term, const std::string& words) {
    return raw(".TP\n.B " + escaped(term) + "\n" + guarded(words));
  }
  Page& example(const std::string& lines) {
    raw(".PP\n.nf\n.RS");
    std::istringstream stream(lines);
    for (std::string line; std::getline(stream, line);) raw(guarded(line));
    return raw(".RE\n.fi");
  }
  Page& raw(const std::string& lines) {
    text_ += lines + "\n";
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  static std::string escaped(const std::string& words) {
    static const std::map<char, std::string> kEscapes = {
        {'\\', "\\e"}, {'-', "\\-"}, {'"', "\\(dq"}, {'\n', " "}};
    std::string out;
    for (const char c : words) out += kEscapes.contains(c) ? kEscapes.at(c) : std::string(1, c);
    return out;
  }
  /// A line that begins with a dot or an apostrophe would be a request.
  static std::string guarded(const std::string& words) {
    return (words.starts_with('.') || words.starts_with('\'') ? "\\&" : "") + escaped(words);
  }

  std::string text_;
};

inline std::string usage_of(const CLI::App& app, const std::string& path) {
  std::string text = path;
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) text += " SUBCOMMAND";
  text += " [OPTIONS]";
  for (const CLI::Option* option : app.get_options())
    if (option->get_positional() && !option->get_group().empty()) {
      const std::string name = option->get_single_name();
      text += option->get_required() ? " " + name : " [" + name + "]";
    }
  return text + (app.get_prefix_command() ? " SCRIPT [ARGS...]" : "");
}

inline void describe_command(Page& page, const CLI::App& app, const std::string& path) {
  page.subsection(usage_of(app, path)).paragraph(app.get_description() + ".");
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty() || option == app.get_help_ptr()) continue;
    const bool flag = option->get_items_expected_max() == 0;
    std::string term = option->get_name(option->get_positional(), true);
    if (!flag && !option->get_positional()) term += " " + option->get_type_name();
    const std::string preset = option->get_default_str();
    page.item(term, option->get_description() + (preset.empty() ? "" : " (" + preset + ")"));
  }
  if (const std::string footer = app.get_footer(); !footer.empty()) page.example(footer);
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    describe_command(page, *sub, path + " " + sub->get_name());
}

inline std::string program_page() {
  CLI::App program;
  cli::describe_program(program);
  Page page("KLING", "1", "kling \\- Lua workflows for Kling video generation");
  page.section("SYNOPSIS").raw(".B kling\n.I command\n[options]").section("DESCRIPTION");
  page.paragraph(program.get_description() + ".")
      .paragraph(
          "A script asks for clips, waits for them and joins them. Every request is written to a "
          "ledger before it is sent. Run the same command again: nothing is paid twice, and the "
          "run "
          "continues where it stopped.");
  page.section("COMMANDS");
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; }))
    describe_command(page, *command, "kling " + command->get_name());
  page.section("EXIT STATUS")
      .item("0", "Done.")
      .item("1", "Any other error.")
      .item("2", "The command line is wrong.")
      .item("3", "A generation failed.")
      .item("4", "A person must decide: an answer was lost, or a budget is reached.")
      .item("130", "Interrupted.");
  page.section("ENVIRONMENT")
      .item("KLING_API_KEY, COMETAPI_KEY", "The key; the first that is set.")
      .item("KLING_BASE_URL", "The service.")
      .item("KLING_POLL_INTERVAL, KLING_PATIENCE", "As the options of the same names.")
      .item("KLING_PRICE_FACTOR",
            "What the account is charged of the list price, such as 0.8: scales every estimate.")
      .item("HTTPS_PROXY, NO_PROXY", "The way to the service.")
      .item("NO_COLOR", "Progress without colours.");
  page.section("FILES")
      .item("~/.config/kling/config", "Lines such as key = ... and price_factor = 0.8; mode 0600.")
      .item(".kling/ledger.db", "What was sent and paid, beside the script or above it.")
      .item(".kling/clips/", "Finished clips.");
  return page.section("SEE ALSO").paragraph("kling(3lua)").text();
}

inline void describe_params(Page& page, const std::vector<api::Param>& params,
                            const std::string& before) {
  for (const api::Param& param : params) {
    std::string words = param.doc;
    if (!param.rule.values.empty())
      words += " One of: " + api::joined(param.rule.values, ", ") + ".";
    if (param.required) words = "Required. " + words;
    page.item(before + param.name, words);
    describe_params(page, param.children,
                    before + param.name + (param.type == api::Type::list ? "[]." : "."));
  }
}

inline void describe_fields(Page& page, const std::vector<lua::ManualField>& fields) {
  for (const lua::ManualField& field : fields)
    page.item(field.name, field.type + (field.doc.empty() ? "" : ": " + field.doc));
}

inline void describe_class(Page& page, const lua::ManualClass& described) {
  page.subsection(described.name).paragraph(described.doc);
  describe_fields(page, described.fields);
  for (const lua::ManualFunction& method : described.methods)
    page.item(lua::call_of(method, ":"), method.doc);
}

inline std::string module_page() {
  const lua::Manual& manual = lua::manual();
  Page page("KLING", "3lua", "kling \\- Lua module for Kling video generation");
  page.section("SYNOPSIS")
      .example(
          "local kling = require \"kling\"\n"
          "local clip = kling.text2video { prompt = \"A lighthouse at dusk\" }:wait()\n"
          "clip:save(\"shot.mp4\")");
  page.section("DESCRIPTION")
      .paragraph(
          "Functions that make videos return a Job at once. A name that ends with ? may be left "
          "out. Waiting suspends the task, not the program.");
  page.section("FUNCTIONS THAT MAKE VIDEOS");
  for (const api::Endpoint& endpoint : api::endpoints()) {
    page.subsection("kling." + endpoint.name + "{}").paragraph(endpoint.doc);
    describe_params(page, endpoint.params, "");
  }
  page.section("OTHER FUNCTIONS");
  for (const lua::ManualFunction& function : manual.functions)
    page.item(lua::call_of(function, "kling."), function.doc);
  describe_fields(page, manual.values);
  page.section("VALUES");
  for (const lua::ManualClass& described : manual.values_of) describe_class(page, described);
  page.section("OPTIONS");
  for (const lua::ManualClass& described : manual.options) describe_class(page, described);
  return page.section("SEE ALSO").paragraph("kling(1)").text();
}

}  // namespace kling::docs
