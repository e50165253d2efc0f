#include "sim/contract.h"

namespace kling::sim {

extern const char kContractText[];

const Json& contract() {
  static const Json data = Json::parse(kContractText);
  return data;
}

Refusal refusal(int code) {
  const Json& row = contract()["errors"][std::to_string(code)];
  return {row["http"].get<int>(), code, row["meaning"].get<std::string>()};
}

Refusal refusal(int code, std::string_view message, std::string_view value) {
  Refusal result = refusal(code);
  const Json& messages = contract()["messages"];
  const std::string key(message);
  result.message = text_of(messages["seen"], key.c_str());
  if (result.message.empty()) result.message = text_of(messages["assumed"], key.c_str());
  if (const auto at = result.message.find("{}"); at != std::string::npos) {
    result.message.replace(at, 2, value);
  }
  return result;
}

std::string text_of(const Json& object, const char* member) {
  const Json* found = member_of(object, member);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

const Json* member_of(const Json& object, const char* member) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(member);
  if (found == object.end() || found->is_null()) return nullptr;
  if (found->is_string() && found->get_ref<const std::string&>().empty()) return nullptr;
  return &*found;
}

}  // namespace kling::sim
