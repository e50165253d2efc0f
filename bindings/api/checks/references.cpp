#include <algorithm>

#include "api/checks/checks.h"

namespace kling::api {
namespace {

struct Reference {
  std::string text;  ///< between the brackets
  std::string kind;  ///< "image", …; empty: not a reference the service knows
  std::int64_t number = 0;
};

struct Referable {
  const char* name;
  const char* list;
};
constexpr Referable kReferables[] = {{"image", "image_list"},
                                     {"element", "element_list"},
                                     {"video", "video_list"},
                                     {"voice", "voice_list"}};

void scan(std::string_view prompt, std::vector<Reference>& references) {
  for (std::size_t at = prompt.find("<<<"); at != std::string_view::npos;
       at = prompt.find("<<<", at + 3)) {
    const std::size_t end = prompt.find(">>>", at);
    if (end == std::string_view::npos) return;
    Reference reference;
    reference.text = prompt.substr(at + 3, end - at - 3);
    const std::size_t line = reference.text.rfind('_');
    if (line != std::string::npos) {
      const auto number = whole_number(std::string_view(reference.text).substr(line + 1));
      for (const Referable& kind : kReferables)
        if (number && reference.text.substr(0, line) == kind.name) reference.kind = kind.name;
      reference.number = number.value_or(0);
    }
    references.push_back(std::move(reference));
  }
}

std::vector<Reference> references_of(const Request& request) {
  std::vector<Reference> references;
  const auto scan_text = [&](const Json& text) {
    if (text.is_string()) scan(text.get_ref<const std::string&>(), references);
  };
  if (!overridden(request, "prompt")) scan_text(member(request.fields, "prompt"));
  if (!overridden(request, "multi_prompt"))
    for (const Json& shot : member(request.fields, "multi_prompt"))
      scan_text(member(shot, "prompt"));
  return references;
}

std::size_t count_given(const Request& request, const Referable& kind) {
  std::size_t count = count_of(request, kind.list);
  if (std::string_view(kind.name) == "image")
    count += (given(request, "image") ? 1u : 0u) + (given(request, "image_tail") ? 1u : 0u);
  return count;
}

}  // namespace

Verdict reference_targets(const Request& request) {
  const std::vector<Reference> references = references_of(request);
  std::vector<std::string> complaints;
  std::vector<std::string> lists;
  for (const Referable& kind : kReferables) {
    const std::size_t count = count_given(request, kind);
    std::vector<std::string> missing;
    for (const Reference& reference : references) {
      const std::string text = "<<<" + reference.text + ">>>";
      if (reference.kind == kind.name &&
          (reference.number < 1 || reference.number > static_cast<std::int64_t>(count)) &&
          std::ranges::find(missing, text) == missing.end())
        missing.push_back(text);
    }
    if (missing.empty()) continue;
    complaints.push_back(joined(missing, ", ") + ", but " + std::to_string(count) + " " +
                         kind.name + (count == 1 ? " is" : "s are") + " given");
    lists.push_back(std::string(kind.list) + " = { … }");
  }
  if (complaints.empty()) return {};
  return error("prompt", "prompt refers to " + joined(complaints, "; and to "),
               "numbers start at 1; give " + joined(lists, " and ") +
                   " (or put them into extra, which is sent unchecked)");
}

Verdict reference_spelling(const Request& request) {
  for (const Reference& reference : references_of(request))
    if (reference.kind.empty())
      return warning("prompt",
                     "<<<" + excerpt(reference.text, 40) + ">>> is no reference the service knows",
                     "write <<<image_1>>>, <<<element_1>>>, <<<video_1>>> or <<<voice_1>>>");
  return {};
}

}  // namespace kling::api
