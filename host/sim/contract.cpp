#include "sim/contract.h"

namespace kling {
extern const std::string_view kContractText;  // contract.json
}

namespace kling::sim {
namespace {

Json read_contract() {
  Json data = Json::parse(kContractText);
  for (Json& endpoint : data["endpoints"]) {
    Json rules = Json::object();
    const Json own = endpoint.value("own", Json::object());
    for (const Json& field : endpoint["fields"]) {
      const auto name = field.get<std::string>();
      rules[name] = data["fields"].value(name, Json::object());
      rules[name].update(own.value(name, Json::object()));
    }
    endpoint["rules"] = rules;
  }
  return data;
}

}  // namespace

const Json& contract() {
  static const Json data = read_contract();
  return data;
}

std::string endpoint_kind(std::string name) {
  for (char& c : name) c = c == '_' ? '-' : c;
  if (name == "omni") name = "omni-video";
  return contract()["endpoints"].contains(name) ? name : "";
}

Refusal refusal(int code) {
  const Json& row = contract()["errors"][std::to_string(code)];
  return {row["http"].get<int>(), code, row["meaning"].get<std::string>()};
}

Refusal refusal(int code, std::string_view message, std::string_view value) {
  Refusal result = refusal(code);
  const Json& messages = contract()["messages"];
  const std::string key(message);
  result.message = text_of(messages["seen"], key);
  if (result.message.empty()) result.message = text_of(messages["assumed"], key);
  if (const auto at = result.message.find("{}"); at != std::string::npos) {
    result.message.replace(at, 2, value);
  }
  return result;
}

std::string text_of(const Json& object, const std::string& member) {
  const Json* found = member_of(object, member);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

const Json* member_of(const Json& object, const std::string& member) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(member);
  if (found == object.end() || found->is_null()) return nullptr;
  if (found->is_string() && found->get_ref<const std::string&>().empty()) return nullptr;
  return &*found;
}

}  // namespace kling::sim
